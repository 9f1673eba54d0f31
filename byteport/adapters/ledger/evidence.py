"""Rounds of looking: which groups to send, who has taken one, and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from byteport.adapters.ledger.base import Stored, append, lock_incident, now_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import clean, json, maybe
from byteport.records.event import Event
from byteport.records.evidence import Answer, GroupLease, Looked, StoredAnswer

_SEND = """
update byteport.probe_groups g set sent_at = t.now, sendings = g.sendings + 1, token = null, taken_until = null
from byteport.incidents i, (select byteport.clock() as now) t
where i.id = %s and i.phase <> 'closed' and i.pending > 0 and g.incident = i.id and g.round = i.round
  and byteport.to_send(g, t.now)
returning g.round, g.grp
"""

_TAKE = """
update byteport.probe_groups g
set token = nextval('byteport.fencing') || '.' || replace(gen_random_uuid()::text, '-', ''),
    taken_until = t.now + make_interval(secs => g.lease_seconds)
from byteport.incidents i, (select byteport.clock() as now) t
where i.id = %s and g.incident = i.id and g.round = %s and g.grp = %s
  and i.phase <> 'closed' and i.pending > 0 and g.round = i.round
  and g.answered_at is null and (g.taken_until is null or g.taken_until < t.now)
returning g.*, t.now
"""

# What was asked in a round that is over and never answered is a failure of that round: an older answer must not stand
# in for it. Rounds before the first answer have none to stand in, and are not what `before` was.
_ANSWERS = """
select round, field, fact, failure, duration_ms, taken_at from byteport.evidence where incident = %(id)s
union all
select g.round, f.field, 'null'::jsonb, jsonb_build_object('kind', 'timeout', 'text', 'nobody answered in time'),
       0, coalesce(g.sent_at, t.now)
from byteport.incidents i, byteport.probe_groups g, unnest(g.fields) as f (field), (select byteport.clock() as now) t
where i.id = %(id)s and g.incident = i.id
  and (g.round < i.round or i.pending = 0 or (i.state ->> 'look_until')::timestamptz <= t.now)
  and not exists (select from byteport.evidence e where e.incident = i.id and e.round = g.round and e.field = f.field)
  and exists (select from byteport.evidence e where e.incident = i.id and e.round <= g.round)
order by round, taken_at, field
"""


class EvidenceRounds(Stored):
    """The fan-out and the fan-in."""

    def groups_to_send(self, incident_id: str) -> list[tuple[int, str]]:
        """What is sent again loses its taker: an answer under the old token is kept and counts for nothing."""
        sent = self.rows(_SEND, [incident_id])
        return sorted((row["round"], row["grp"]) for row in sent)

    def take_group(self, incident_id: str, round_: int, group: str) -> GroupLease | None:
        row = self.row(_TAKE, [incident_id, round_, group])
        if row is None:
            return None
        return GroupLease(
            incident=incident_id,
            round=round_,
            group=group,
            token=row["token"],
            fields=tuple(row["fields"]),
            now=row["now"],
        )

    def store_answers(self, group: GroupLease, answers: Sequence[Answer]) -> Looked:
        """Of two answers to one question of a round the first stays."""
        return self.run(lambda cursor: _store(cursor, group, answers))

    def answers(self, incident_id: str) -> list[StoredAnswer]:
        return [StoredAnswer.model_validate(row) for row in self.rows(_ANSWERS, {"id": incident_id})]


def _store(cursor: Cursor, group: GroupLease, answers: Sequence[Answer]) -> Looked:
    row = lock_incident(cursor, group.incident)
    now = now_of(cursor)
    stored = _insert(cursor, group, answers, now)
    cursor.execute(
        """
        update byteport.probe_groups set answered_at = %s
        where incident = %s and round = %s and grp = %s and token = %s and answered_at is null
        """,
        [now, group.incident, group.round, group.group, group.token],
    )
    counts = cursor.rowcount == 1 and row["round"] == group.round and row["pending"] > 0 and row["phase"] != "closed"
    completes = counts and row["pending"] == 1
    if counts:
        cursor.execute(
            """
            update byteport.incidents set pending = pending - 1, nudges = nudges + %(last)s::int,
                due_at = case when %(last)s then least(due_at, %(now)s) else due_at end,
                woken_at = case when %(last)s then null else woken_at end
            where id = %(id)s
            """,
            {"last": completes, "now": now, "id": group.incident},
        )
    if stored and row["phase"] != "closed":
        append(cursor, group.incident, [_told(group, answers, counts=counts)])
    return Looked(stored=stored, completes_the_round=completes, phase=row["phase"])


def _insert(cursor: Cursor, group: GroupLease, answers: Sequence[Answer], now: Any) -> bool:
    cursor.execute(
        """
        insert into byteport.evidence (incident, round, field, fact, failure, duration_ms, taken_at)
        select %s, %s, field, fact, failure, duration_ms, least(%s, %s + make_interval(secs => duration_ms / 1000))
        from unnest(%s::text[], %s::jsonb[], %s::jsonb[], %s::float8[]) as a (field, fact, failure, duration_ms)
        on conflict do nothing
        """,
        [
            group.incident,
            group.round,
            now,
            group.now,  # an answer is as old as the asking: its bearer may have stood still on the way here
            [clean(a.field) for a in answers],
            [json(a.fact) for a in answers],
            [maybe(a.failure) for a in answers],
            [a.duration_ms for a in answers],
        ],
    )
    return cursor.rowcount > 0


def _told(group: GroupLease, answers: Sequence[Answer], *, counts: bool) -> Event:
    failed = {answer.field: str(answer.failure) for answer in answers if answer.failure is not None}
    late = "" if counts else ", too late"
    return Event(
        kind="answers",
        text=f"{group.group}: {len(answers) - len(failed)} of {len(answers)} answered{late}",
        data={
            "round": group.round,
            "group": group.group,
            "fields": [answer.field for answer in answers],
            "failed": failed,
            "counts": counts,
            "slowest_ms": round(max((answer.duration_ms for answer in answers), default=0.0), 1),
        },
    )
