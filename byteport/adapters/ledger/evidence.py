"""Rounds of looking: which groups to send, who has taken one, and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from byteport.adapters.ledger.base import Stored
from byteport.adapters.ledger.moves import claimed_of, claiming
from byteport.adapters.ledger.rows import Row, json, read_incident
from byteport.records.change import Claimed, since_boot
from byteport.records.evidence import Answer, GroupLease, Looked, StoredAnswer
from byteport.records.incident import Incident

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

_TAKE_QUICK = """
with t as materialized (select byteport.clock() as now), found as (
    select g.incident, g.round, g.grp from byteport.incidents i, byteport.probe_groups g, t
    where i.id = %(id)s and i.phase <> 'closed' and i.pending > 0 and g.incident = i.id and g.round = i.round
      and g.lease_seconds <= %(quick)s and byteport.to_send(g, t.now)
    order by g.grp limit %(most)s for no key update of g skip locked
), sent as (
update byteport.probe_groups g set sent_at = t.now, sendings = g.sendings + 1,
    token = nextval('byteport.fencing') || '.' || replace(gen_random_uuid()::text, '-', ''),
    taken_until = t.now + make_interval(secs => g.lease_seconds)
from found f, t where g.incident = f.incident and g.round = f.round and g.grp = f.grp
returning g.*, t.now
), taken as (select jsonb_agg(to_jsonb(g) order by g.grp) as leases from sent g)
select i.*, taken.leases from byteport.incidents i, taken where i.id = %(id)s and taken.leases is not null
"""

_STORE = "select stored, completes, its_phase from byteport.store_answers(%s, %s, %s)"
QUICK_SECONDS = 15.0

_ANSWERS = "select * from byteport.answers_of(%s)"
_STORE_AND_CLAIM = """
select s.stored, s.completes, s.its_phase, s.answers, s.intents, s.owed, s.events, (s.incident).*
from byteport.store_and_claim(%s, %s, %s, %s, %s, %s, %s, %s) s
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
        return _lease_of(row)

    def store_answers(self, group: GroupLease, answers: Sequence[Answer]) -> Looked:
        """Of two answers to one question of a round the first stays."""
        return self.store_groups([(group, answers)])

    def store_groups(self, answered: Sequence[tuple[GroupLease, Sequence[Answer]]]) -> Looked:
        """All or none, in one statement."""
        first, _ = answered[0]
        told = json([_as_stored(group, answers) for group, answers in answered])
        (row,) = self.rows(_STORE, [first.incident, first.round, told])
        return Looked(stored=row["stored"], completes_the_round=row["completes"], phase=row["its_phase"])

    def store_and_claim(
        self, answered: Sequence[tuple[GroupLease, Sequence[Answer]]], pages: Sequence[str], driver: str,
        phases: Sequence[str], for_hands: Sequence[str],
    ) -> tuple[Looked, Claimed | None]:  # fmt: skip
        first, _ = answered[0]
        told = json([_as_stored(group, answers) for group, answers in answered])
        asked_at = since_boot()
        (row,) = self.rows(
            _STORE_AND_CLAIM, [first.incident, first.round, told, *claiming(pages, driver, phases, for_hands)]
        )
        looked = Looked(stored=row["stored"], completes_the_round=row["completes"], phase=row["its_phase"])
        if row["id"] is None:
            return looked, None
        return looked, claimed_of(row, asked_at)

    def take_quick_groups(self, incident_id: str, most: int) -> tuple[Incident, list[GroupLease]] | None:
        """What was sent to another before and is sent here again loses its taker, as in `groups_to_send`."""
        row = self.row(_TAKE_QUICK, {"id": incident_id, "most": most, "quick": QUICK_SECONDS})
        return None if row is None else (read_incident(row), [_lease_of(one) for one in row["leases"]])

    def answers(self, incident_id: str) -> list[StoredAnswer]:
        return [StoredAnswer.model_validate(row) for row in self.rows(_ANSWERS, [incident_id])]


def _lease_of(row: Row) -> GroupLease:
    return GroupLease(
        incident=row["incident"], round=row["round"], group=row["grp"], token=row["token"],
        fields=tuple(row["fields"]), now=row["now"],
    )  # fmt: skip


def _as_stored(group: GroupLease, answers: Sequence[Answer]) -> dict[str, Any]:
    failed = {answer.field: str(answer.failure) for answer in answers if answer.failure is not None}
    return {
        "group": group.group, "token": group.token, "now": group.now.isoformat(),
        "text": f"{group.group}: {len(answers) - len(failed)} of {len(answers)} answered", "late": ", too late",
        "data": {
            "round": group.round, "group": group.group, "fields": [answer.field for answer in answers],
            "failed": failed, "slowest_ms": round(max((answer.duration_ms for answer in answers), default=0.0), 1),
        },
        "answers": [dict(answer) for answer in answers],
    }  # fmt: skip
