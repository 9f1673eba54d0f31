"""The outbox: what is to be said to people, said once, and what became of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored, advise, append, now_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, clean, delivery_of, json
from byteport.records.delivery import Delivery, Message, Receipt
from byteport.records.event import Event

# A repeat waits for the message that it adds to; where that one failed it goes out as a message of its own.
_DUE = """
with t as materialized (select byteport.clock() as now), found as (
    select d.id from byteport.deliveries d, t
    where (d.state = 'due' and d.due_at <= t.now or d.state = 'sending' and d.sending_until < t.now)
      and not exists (select from byteport.deliveries r where r.id = d.repeats and r.state in ('due', 'sending'))
    order by d.due_at, d.created_at limit %s
    for no key update of d skip locked
)
update byteport.deliveries d set state = 'sending', tries = tries + 1, sending_until = t.now + interval '60 seconds'
from found, t where d.id = found.id
returning d.*, (select r.reference from byteport.deliveries r
                where r.id = d.repeats and r.state = 'sent') as repeats_reference,
    not exists (select from byteport.deliveries o join byteport.incidents i on i.id = o.incident
                where d.repeats in (o.id, o.repeats) and i.phase <> 'closed' and i.id <> d.incident) as closes
"""

# What a person has ended is over: whatever comes after it is a matter of its own. A matter of many incidents (a storm)
# is not over with one of them.
_EARLIER = """
select d.id, d.repeats, d.message, i.phase is not null and i.phase = 'closed' as is_over
from byteport.deliveries d left join byteport.incidents i on i.id = d.incident
where d.dedup_key = %s and d.channel = %s and d.state in ('due', 'sending', 'sent')
  and (d.message ->> 'dry_run')::boolean = %s and d.created_at > %s
  and (i.id is null or %s or not (i.phase = 'closed' and i.ending in ('closed', 'cancelled')))
order by d.created_at desc, d.id desc
"""

# What a person was told of an incident first on a channel: its end is told there.
_FIRST_TOLD = """
select coalesce(repeats, id) as root from byteport.deliveries
where incident = %s and channel = %s and message ->> 'kind' in ('escalation', 'approval') and state <> 'failed'
order by created_at, id limit 1
"""
_TOLD_OF_STORM = """
select d.id from byteport.storms s join byteport.deliveries d on d.dedup_key = 'escalation|' || s.runbook || '|storm'
where s.ended_at is null and d.dedup_key = %s and d.channel = %s and d.created_at >= s.began_at
  and d.message ->> 'kind' = 'escalation' and d.state in ('due', 'sending', 'sent')
order by d.created_at, d.id limit 1
"""
ADDS = ("resolution", "acknowledgement")

_STILL = """
update byteport.deliveries set sending_until = byteport.clock() + interval '60 seconds'
where id = %s and state = 'sending' and tries = %s returning id
"""


class OutboxRows(Stored):
    """What `Outbox` sends, row by row."""

    def deliveries_due(self, limit: int = 20) -> list[Delivery]:
        """A sender that died leaves its delivery due again after 60 s."""
        taken = self.rows(_DUE, [limit])
        return [delivery_of(row) for row in sorted(taken, key=lambda row: (row["due_at"], row["created_at"]))]

    def still_to_send(self, delivery: Delivery) -> bool:
        return bool(self.rows(_STILL, [delivery.id, delivery.tries]))

    def delivered(self, delivery: Delivery, receipt: Receipt) -> None:
        """The first receipt counts."""

        def note(cursor: Cursor) -> None:
            _lock(cursor, delivery)
            cursor.execute(
                """
                update byteport.deliveries set state = 'sent', reference = %s, sent_at = byteport.clock(), error = '',
                    sending_until = null
                where id = %s and state <> 'sent'
                """,
                [clean(receipt.reference), delivery.id],
            )
            if cursor.rowcount:
                _tell(cursor, delivery, "sent", {"reference": receipt.reference})

        self.run(note)

    def not_delivered(self, delivery: Delivery, error: str, again_in: timedelta | None) -> None:
        state = "failed" if again_in is None else "due"

        def note(cursor: Cursor) -> None:
            _lock(cursor, delivery)
            cursor.execute(
                """
                update byteport.deliveries set state = %s, error = %s, sending_until = null,
                    due_at = byteport.clock() + coalesce(%s::interval, interval '0')
                where id = %s and state in ('due', 'sending')
                """,
                [state, clean(error), again_in, delivery.id],
            )
            if cursor.rowcount and again_in is None:
                _tell(cursor, delivery, "failed", {"error": error})

        self.run(note)

    def notify(self, messages: Sequence[Message]) -> None:
        """Messages that concern no incident."""
        self.run(lambda cursor: post(cursor, None, messages, now_of(cursor)))

    def deliveries_of(self, incident_id: str) -> list[Delivery]:
        """Oldest first, suppressed repeats included."""
        found = self.rows(
            """
            select d.*, r.reference as repeats_reference
            from byteport.deliveries d left join byteport.deliveries r on r.id = d.repeats
            where d.incident = %s order by d.created_at, d.id
            """,
            [incident_id],
        )
        return [delivery_of(row) for row in found]


def post(cursor: Cursor, incident: str | None, messages: Sequence[Message], now: datetime) -> None:
    """Messages become deliveries. Inside a matter's window a message adds to the first one, or, where it says what was
    said last of an incident that is still open, is kept as suppressed. How an incident ended, and who took it, is added
    to what was told of it first. None: it concerns no incident."""
    advise(cursor, "matter", [f"{message.channel}:{message.dedup_key}" for message in messages])
    for place, message in enumerate(messages):
        earlier = _earlier(cursor, message, now, of_many=incident is None)
        state, repeats = _state(message, earlier)
        if message.dedup_key.endswith("|storm") and (root := _told_of_storm(cursor, message)) is not None:
            state, repeats = "suppressed", root
        if repeats is None and message.kind in ADDS:
            repeats = _first_told(cursor, incident, message)
        at = now + timedelta(microseconds=place)  # in the order in which they were said
        cursor.execute(
            """
            insert into byteport.deliveries
                (id, incident, channel, dedup_key, message, state, created_at, due_at, repeats)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                f"dlv-{secrets.token_hex(8)}",
                incident,
                clean(message.channel),
                clean(message.dedup_key),
                json(message),
                state,
                at,
                now,
                repeats,
            ],
        )


def _earlier(cursor: Cursor, message: Message, now: datetime, *, of_many: bool) -> list[Row]:
    since = now - timedelta(seconds=message.dedup_seconds)
    cursor.execute(_EARLIER, [clean(message.dedup_key), clean(message.channel), message.dry_run, since, of_many])
    return list(cursor.fetchall())


def _state(message: Message, earlier: Sequence[Row]) -> tuple[str, str | None]:
    """And the delivery that it repeats: the first of the matter."""
    if not earlier:
        return "due", None
    last: dict[str, Any] = earlier[0]["message"]
    root = earlier[0]["repeats"] or earlier[0]["id"]
    said = (clean(message.title), clean(message.text), message.kind)
    is_said = said == (last["title"], last["text"], last["kind"]) and not earlier[0]["is_over"]
    return ("suppressed" if is_said else "due"), root


def _told_of_storm(cursor: Cursor, message: Message) -> str | None:
    """The delivery that told of the beginning of a storm of which something is left; whatever was said of it since, and
    however long ago it was, nobody hears of its beginning again."""
    if message.kind != "escalation":
        return None
    cursor.execute(_TOLD_OF_STORM, [clean(message.dedup_key), clean(message.channel)])
    found = cursor.fetchone()
    return None if found is None else str(found["id"])


def _first_told(cursor: Cursor, incident: str | None, message: Message) -> str | None:
    cursor.execute(_FIRST_TOLD, [incident, clean(message.channel)])
    found = cursor.fetchone()
    return None if found is None else str(found["root"])


def _lock(cursor: Cursor, delivery: Delivery) -> None:
    if delivery.incident:
        cursor.execute("select from byteport.incidents where id = %s for no key update", [delivery.incident])


def _tell(cursor: Cursor, delivery: Delivery, state: str, more: dict[str, str]) -> None:
    if not delivery.incident:
        return
    message = delivery.message
    told = {"delivery": delivery.id, "channel": message.channel, "kind": message.kind, "tries": delivery.tries, **more}
    append(cursor, delivery.incident, [Event(kind="delivery", text=f"{message.channel}: {state}", data=told)])
