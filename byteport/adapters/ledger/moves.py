"""Whose move it is: claims as leases, and incidents whose page nobody has any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored, append, lock_as_holder, lock_incident, now_of, renew_locks
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, clean, known_of, read_incident
from byteport.adapters.processes import is_dead, this_machine, this_process
from byteport.records.change import Claimed, Lease, since_boot
from byteport.records.event import Event
from byteport.records.incident import Incident, Phase
from byteport.stores_abandoned import Due, Orphan

_CLAIM = "select *, claimed_at as now from byteport.claim(%s, %s, %s, %s, %s, %s)"

_CLAIM_AND_READ = """
select c.answers, c.intents, c.owed, c.events, (c.incident).* from byteport.claim_and_read(%s, %s, %s, %s, %s, %s) c
"""

# What is claimed is due, whatever comes meanwhile; so it is found along the index of what is.
_HELD_HERE = """
with t as materialized (select byteport.clock() as now)
select lease_token, claimed_by from t, byteport.incidents
where phase <> 'closed' and due_at <= t.now and starts_with(claimed_by, %(machine)s) and lease_until > t.now
"""

# Locked first, and read afterwards: an attempt that began at this very moment is seen.
_LOCK_HELD = "select from byteport.incidents where lease_token = any(%(tokens)s) order by id for no key update"

# Not before what its holder had begun at the target must be over: whoever comes next would not see it yet. Where nobody
# knows when that is (an attempt of an older release), the claim lapses as it would have.
_LET_GO = """
with t as materialized (select byteport.clock() as now)
update byteport.incidents i set woken_at = null, lease_until = least(i.lease_until, greatest(t.now, (
    select max(coalesce(attempt_until, 'infinity')) from byteport.intents n
    where n.incident = i.id and n.outcome is null and n.answered_at is null and n.attempts > 0)))
from t where lease_token = any(%(tokens)s) and lease_until > t.now
returning i.id, i.phase, coalesce((i.state ->> 'wants_hands')::boolean, false) as wants_hands,
    i.lease_until <= t.now as is_free
"""


class Moves(Stored):
    """Claims, and what calls for one."""

    def claim(
        self, incident_id: str, pages: Sequence[str], driver: str = "", phases: Sequence[str] | None = None,
        for_hands: Sequence[str] = (),
    ) -> tuple[Incident, Lease] | None:  # fmt: skip
        """One statement decides. `claimed_in_vain` counts the claims since the last save, this one among them; an
        incident whose plan cannot be read here comes without it and counts as claimed in vain."""
        asked_at = since_boot()
        row = self.row(_CLAIM, [incident_id, *claiming(pages, driver, phases, for_hands)])
        if row is None:
            return None
        return read_incident(row), lease_of(row, asked_at)

    def claim_and_read(
        self, incident_id: str, pages: Sequence[str], driver: str, phases: Sequence[str], for_hands: Sequence[str]
    ) -> Claimed | None:
        asked_at = since_boot()
        row = self.row(_CLAIM_AND_READ, [incident_id, *claiming(pages, driver, phases, for_hands)])
        return None if row is None or row["id"] is None else claimed_of(row, asked_at)

    def renew(self, lease: Lease) -> Lease:
        def extend(cursor: Cursor) -> Lease:
            row = lock_as_holder(cursor, lease)
            now = now_of(cursor)
            until = now + timedelta(seconds=40)
            cursor.execute(
                "update byteport.incidents set lease_until = %s, driver_until = %s where id = %s",
                [until, now + timedelta(seconds=60) if row["driver"] else row["driver_until"], row["id"]],
            )
            renew_locks(cursor, row["id"])
            return lease.model_copy(update={"until": until, "now": now, "asked_at": asked_at})

        asked_at = since_boot()
        return self.run(extend)

    def incident(self, incident_id: str) -> Incident | None:
        """Without its plan and diagnosis where its plan has actions of a page that this process has not loaded."""
        row = self.row("select * from byteport.incidents where id = %s", [incident_id])
        return None if row is None else read_incident(row)

    def end_claims_of_the_dead(self) -> list[Due]:
        if not (machine := this_machine()):
            return []
        held = self.rows(_HELD_HERE, {"machine": machine})
        dead = [row["lease_token"] for row in held if is_dead(row["claimed_by"])]
        freed = self.run(lambda cursor: _let_go(cursor, dead)) if dead else []
        return [Due(incident=row["id"], phase=Phase(row["phase"]), wants_hands=row["wants_hands"]) for row in freed]

    def leave_to_fleet(self, driver: str) -> None:
        self.rows(
            """
            update byteport.incidents set driver = '', driver_until = null, woken_at = null
            where driver = %s and phase <> 'closed' returning id
            """,
            [driver],
        )

    def orphans(self, pages: Mapping[str, str], after: timedelta = timedelta(seconds=60)) -> list[Orphan]:
        found = self.rows(
            """
            select id as incident, runbook, page from byteport.incidents i, (select byteport.clock() as now) t
            where phase <> 'closed' and runbook = any(%(runbooks)s) and page <> all(%(pages)s)
              and greatest(due_at, claimed_at, lease_until) <= t.now - %(after)s::interval
              and (driver = '' or driver_until < t.now)
            order by due_at limit 100
            """,
            {"runbooks": list(pages), "pages": list(pages.values()), "after": after},
        )
        return [Orphan.model_validate(row) for row in found]

    def adopt(self, incident_id: str, page: str, *, diagnose_anew: bool, reason: str) -> None:
        """Does nothing when somebody has worked on it lately, or it has this page by now. What rests with people or is
        being closed stays so. Where an intent exists it escalates whatever was asked for, keeping its plan and its
        locks until all is settled."""

        def give(cursor: Cursor) -> None:
            row = lock_incident(cursor, incident_id)
            if row["phase"] == "closed" or row["page"] == page or is_worked_on(row, now_of(cursor)):
                return
            cursor.execute("select from byteport.intents where incident = %s limit 1", [incident_id])
            begun = cursor.rowcount > 0 or row["phase"] == Phase.VERIFY or not diagnose_anew
            _adopt(cursor, row, page, reason, _afterwards(row, begun=begun))

        self.run(give)


def claiming(pages: Sequence[str], driver: str, phases: Sequence[str] | None, for_hands: Sequence[str]) -> list[Any]:
    """Who claims, and what it may claim, as `byteport.claim` takes it after the incident."""
    wanted = None if phases is None else [str(one) for one in phases]
    return [list(pages), this_process(), driver, wanted, [str(one) for one in for_hands]]


def lease_of(row: Row, asked_at: float) -> Lease:
    return Lease(
        incident=row["id"], token=row["lease_token"], until=row["lease_until"], now=row["claimed_at"], asked_at=asked_at
    )


def claimed_of(row: Row, asked_at: float) -> Claimed:
    """A row of an incident with its claim, and what `byteport.known_of` has read beside it."""
    return Claimed(incident=read_incident(row), lease=lease_of(row, asked_at), known=known_of(row))


def _let_go(cursor: Cursor, tokens: Sequence[str]) -> list[Row]:
    """Those that are free now."""
    cursor.execute(_LOCK_HELD, {"tokens": list(tokens)})
    cursor.execute(_LET_GO, {"tokens": list(tokens)})
    return [row for row in cursor.fetchall() if row["is_free"]]


def _afterwards(row: Row, *, begun: bool) -> str:
    """The phase with the new page."""
    if row["phase"] in (Phase.ESCALATE, Phase.WRITE_UP):
        return str(row["phase"])
    return str(Phase.ESCALATE if begun else Phase.OPEN)


def is_worked_on(row: Row, now: datetime) -> bool:
    """Claimed now, or within the last 40 s."""
    claimed, until = row["claimed_at"], row["lease_until"]
    return (until is not None and until > now) or (claimed is not None and claimed > now - timedelta(seconds=40))


def _adopt(cursor: Cursor, row: Row, page: str, reason: str, phase: str) -> None:
    """The stored plan is not read: this process may not know its actions. Who said why it ends or rests is believed."""
    anew = phase == Phase.OPEN
    if anew:
        cursor.execute("delete from byteport.locks where incident = %s", [row["id"]])
    cursor.execute(
        """
        update byteport.incidents set page = %(page)s, phase = %(phase)s,
            reason = case when phase = %(phase)s then reason else %(reason)s end,
            due_at = byteport.clock(), version = version + 1, pending = 0,
            lease_token = null, lease_until = null, claimed_by = '', woken_at = null, claims_in_vain = 0,
            state = state || case when %(anew)s then
                '{"plan": null, "diagnosis": null, "cursor": 0, "attempt": 0, "asked": 0, "locked": false,
                  "look_until": null, "waiting_since": null, "steady_since": null, "verifying_since": null,
                  "checks": []}'::jsonb
                else '{"attempt": 0, "look_until": null}'::jsonb end
        where id = %(id)s
        """,
        {"page": page, "phase": phase, "reason": clean(reason), "anew": anew, "id": row["id"]},
    )
    told = {"from": row["page"], "to": page, "phase": phase}
    append(cursor, row["id"], [Event(kind="adopted", text=reason, data=told)])
