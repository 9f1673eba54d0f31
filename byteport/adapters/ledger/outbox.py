"""The outbox: what is to be said to people, said once, and what became of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored, append
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import clean, delivery_of, json
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
        self.run(lambda cursor: post(cursor, None, messages))

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


def post(cursor: Cursor, incident: str | None, messages: Sequence[Message]) -> None:
    """Messages become deliveries, by the rules that stand in the function. None: they concern no incident."""
    cursor.execute("select byteport.post(%s, %s)", [incident, json(as_posted(messages))])


def as_posted(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"dlv-{secrets.token_hex(8)}", "channel": message.channel, "dedup_key": message.dedup_key,
            "message": message, "seconds": message.dedup_seconds, "dry_run": message.dry_run, "kind": message.kind,
            "title": message.title, "text": message.text, "adds": message.kind in ADDS,
        }
        for message in messages
    ]  # fmt: skip


def _lock(cursor: Cursor, delivery: Delivery) -> None:
    if delivery.incident:
        cursor.execute("select from byteport.incidents where id = %s for no key update", [delivery.incident])


def _tell(cursor: Cursor, delivery: Delivery, state: str, more: dict[str, str]) -> None:
    if not delivery.incident:
        return
    message = delivery.message
    told = {"delivery": delivery.id, "channel": message.channel, "kind": message.kind, "tries": delivery.tries, **more}
    append(cursor, delivery.incident, [Event(kind="delivery", text=f"{message.channel}: {state}", data=told)])
