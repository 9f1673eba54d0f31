"""The engine: `move` is the whole scheduler. A move is one phase's function from what is known to what shall stand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

import structlog

from byteport.engine import acting, deciding, ending, looking, owed_looks, polling, storms, verifying
from byteport.engine.gate import Gate
from byteport.engine.giving_up import again, give_up
from byteport.engine.intake import ByHand, Intake, Taken
from byteport.engine.looking import Eyes
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.engine.rebuilding import rebuild
from byteport.engine.stranded import leave_to_people
from byteport.engine.work import Work, follows
from byteport.errors import NotKnown, Permanent, Stale, Transient, Unavailable
from byteport.grammar.runbook import Runbook
from byteport.model.signal import Signal
from byteport.model.units import days
from byteport.ports import Readers, Writers
from byteport.records.audit import Anchor
from byteport.records.change import NOTHING_READ, Change, Claimed, Known, Lease
from byteport.records.evidence import GroupLease, Looked
from byteport.records.incident import Incident, Phase
from byteport.stores import Budgets, Ledger, Wakeups
from byteport.stores_abandoned import Due
from byteport.stores_signals import Admission

log: Any = structlog.get_logger("byteport.engine")
MOVES: Mapping[Phase, Callable[[Work], Change]] = {
    Phase.OPEN: deciding.open_incident,
    Phase.PROBE: deciding.probe,
    Phase.CLASSIFY: deciding.classify,
    Phase.PLAN: deciding.plan,
    Phase.ACT: acting.act,
    Phase.VERIFY: verifying.verify,
    Phase.ESCALATE: ending.escalate,
    Phase.WRITE_UP: ending.write_up,
}
ANCHORED = days(30)
MOST_VAIN_CLAIMS = 5
GoesOn: TypeAlias = Callable[[Incident, datetime], bool]


@dataclass(frozen=True)
class Moved:
    """The incident as it now stands; the claim where it goes on, or the groups that this process has taken to ask."""

    incident: Incident
    kept: Claimed | None = None
    taken: Sequence[GroupLease] = ()


@dataclass(frozen=True)
class Engine:
    """`driver` is empty for the fleet; a process that drives one incident of its own has a name.

    `has_hands`: this process may reach targets, to act and to see whether an act has happened. `stands_in`: nobody who
    has hands can be woken now, so people are told before everything is settled. `has_eyes`: it asks what
    it opens.
    """

    ledger: Ledger
    budgets: Budgets
    readers: Readers
    writers: Writers
    pages: Pages
    policy: Policy
    wakeups: Wakeups
    outbox: Outbox
    driver: str = ""
    has_hands: bool = True
    stands_in: bool = False
    has_eyes: bool = False

    # -- in ----------------------------------------------------------------------------------------------------------
    def take(self, signal: Signal, by_hand: ByHand | None = None) -> Admission | None:
        """Store a signal; see `Intake.take`."""
        return Intake(self.ledger, self.wakeups, self.pages, self.policy).take(signal, by_hand)

    def take_all(self, signals: Sequence[Signal]) -> list[Taken]:
        """Store many at once; see `Intake.take_all`."""
        return Intake(self.ledger, self.wakeups, self.pages, self.policy).take_all(signals)

    def ring_all(self, incidents: Sequence[str]) -> None:
        """Wake workers for what was opened."""
        self.wakeups.ring_all(incidents, Phase.OPEN)

    # -- looking -----------------------------------------------------------------------------------------------------
    @property
    def eyes(self) -> Eyes:
        """Asks what rounds ask."""
        return Eyes(self.ledger, self.readers, self.pages, self.policy, self.driver)

    def look(self, incident_id: str, round_: int, group: str) -> Looked:
        """See `Eyes.look`."""
        return self.eyes.look(incident_id, round_, group)

    def groups_to_send(self, incident_id: str) -> list[tuple[int, str]]:
        return self.ledger.groups_to_send(incident_id)

    # -- moving ------------------------------------------------------------------------------------------------------
    def move(self, incident_id: str) -> Incident | None:
        """Make one move, save it, return the incident as it now stands (None: not due, closed, or another worker's).

        A crash repeats at most one move, and every move is safe to repeat. Raises Unavailable when the ledger is gone.
        """
        claimed = self.ledger.claim(incident_id, self.pages.digests, self.driver)
        if claimed is None:
            return None
        moved = self._moved(Claimed(incident=claimed[0], lease=claimed[1]), lambda _incident, _now: False)
        return moved.incident if moved is not None else None

    def _moved(self, claimed: Claimed, goes_on: GoesOn) -> Moved | None:
        """Decide and save. None: another worker's by now."""
        incident, lease = claimed.incident, claimed.lease
        now = lease.now
        try:
            now, change = self._decided(claimed, goes_on)
            change = self._with_child(change, incident, lease)
            if goes_on(change.incident, now):
                kept = self.ledger.save_and_claim(change, lease, claimed.known.answers)
                is_due = kept.incident.due_at <= kept.lease.now
                return Moved(kept.incident.model_copy(update={"is_due_now": is_due}), kept)
            change = self._taking(change)
            saved = self.ledger.save(change, lease)
        except Stale:
            return None
        except Permanent as refused:  # the ledger will not have it so: a person looks
            change = give_up(self._work(incident, lease), f"the ledger refused the move: {refused}")
            saved = self.ledger.save(change, lease)
        due = saved.model_copy(update={"is_due_now": saved.due_at <= now})
        return Moved(due, None, looking.leases(change, due, lease.now))

    def _taking(self, change: Change) -> Change:
        """A round that is answered quickly is asked by who opens it, where that one can."""
        page = self.pages.by_name.get(change.incident.runbook)
        return looking.taking(change, page) if self.has_eyes and page is not None else change

    def _decided(self, claimed: Claimed, goes_on: GoesOn) -> tuple[datetime, Change]:
        """One move, and those that follow from it without anything having been done in between: decisions are pure, so
        whoever repeats them after a crash comes to the same, and one line of the ledger keeps them all."""
        work = self._work(claimed.incident, claimed.lease, claimed.known)
        change = self._decide(work)
        while change.is_plain and goes_on(change.incident, work.now) and follows(work.incident, change.incident):
            work = work.then(change.incident)
            following = self._decide(work)
            change = following.with_(events=(*change.events, *following.events))
        return work.now, change

    def _decide(self, work: Work) -> Change:
        incident = work.incident
        if incident.command in ("cancel", "close") and incident.phase not in (Phase.WRITE_UP, Phase.CLOSED):
            return ending.commanded(work)
        if work.is_looking:
            return Change(incident=incident.model_copy(update={"due_at": incident.look_until}))
        told = incident.phase in (Phase.ESCALATE, Phase.WRITE_UP) and incident.escalated_at is not None
        if incident.claimed_in_vain >= MOST_VAIN_CLAIMS and not told:
            return give_up(work, f"claimed {incident.claimed_in_vain} times without a result")
        try:
            return MOVES[incident.phase](work)
        except (Stale, Unavailable):
            raise
        except NotKnown as gap:
            return give_up(work, f"a plan asked for what no probe could tell: {gap}")
        except Transient as problem:
            return again(work, str(problem))
        except Permanent as problem:
            return give_up(work, str(problem))
        except Exception as bug:  # a bug in a page pages a person, not the queue
            log.exception("bug", runbook=incident.runbook, incident=incident.id)
            return give_up(work, f"bug in {incident.runbook}: {bug!r}")

    def _with_child(self, change: Change, incident: Incident, lease: Lease) -> Change:
        """A child has the mode that its own page has now, and never a looser one than its parent; a page that is not
        enabled here takes nothing over."""
        if change.child is None:
            return change
        page = self._page_of_child(change, change.child)
        if page is None or page.name == incident.runbook:
            work, heir = self._work(incident, lease), change.child_runbook or f"whoever takes {change.child.name}"
            return work.escalate(f"{heir} should take over, but is not enabled here", *change.events)
        promotions = {row.runbook: row for row in self.ledger.promotions()}
        mode = self.policy.mode_of(page.name, promotions.get(page.name))
        child = {"child_runbook": page.name, "child_page": page.digest}
        return change.with_(**child, child_mode=self.policy.stricter(incident.mode, mode))

    def _page_of_child(self, change: Change, child: Signal) -> Runbook | None:
        """By its name, or for a signal that was emitted the one that takes it; None where no enabled page does."""
        if not change.child_runbook:
            return next(iter(self.pages.claimants(child.name, child.target.kind)), None)
        page = self.pages.by_name.get(change.child_runbook)
        return page if page is not None and self.pages.is_enabled(page) else None

    def _work(self, incident: Incident, lease: Lease, known: Known = NOTHING_READ) -> Work:
        gate = Gate(self.ledger, self.budgets, self.readers, self.writers, self.policy)
        page = self.pages[incident.runbook]
        return Work(incident, lease, page, self.ledger, gate, self.policy, self.has_hands, self.stands_in, known)

    def stand_in(self, incident_id: str) -> Incident | None:
        """Where nobody who has hands takes it up: people are told what is known, and no target is reached."""
        return replace(self, stands_in=True, has_hands=False).move(incident_id)

    def run(
        self,
        incident_id: str,
        phases: Collection[Phase],
        may_go_on: Callable[[Incident], bool] = lambda _incident: True,
        for_hands: Collection[Phase] = (),
        look_first: bool = False,
    ) -> Incident | None:
        """Move on under one claim while it is due now, in one of `phases` (`for_hands`: those of an incident that
        wants hands), and `may_go_on` says so; the last state, or None where nothing was to be done here. `look_first`:
        a round is probably out, which this process asks and then goes on with."""

        def goes_on(incident: Incident, now: datetime) -> bool:
            ours = for_hands if incident.wants_hands else phases
            needs_hands = incident.wants_hands or incident.phase is Phase.ACT
            is_ours = incident.phase in ours and (self.has_hands or not needs_hands)
            return is_ours and incident.due_at <= now and may_go_on(incident)

        last: Incident | None = None
        wanted = (sorted(phases), sorted(for_hands))
        claimed = self.eyes.at_open_round(incident_id, *wanted) if look_first and self.has_eyes else None
        if claimed is None:
            claimed = self.ledger.claim_and_read(incident_id, self.pages.digests, self.driver, *wanted)
        while claimed is not None and (moved := self._moved(claimed, goes_on)) is not None:
            last, claimed = moved.incident, moved.kept
            if moved.taken:
                claimed = self.eyes.at(last, moved.taken, *wanted)
        return last

    # -- keeping time ------------------------------------------------------------------------------------------------
    def wake_due(self, limit: int = 500, untaken: int | None = None) -> list[Due]:
        return self.ledger.wake_due(limit, untaken=untaken)

    def deliver_due(self, limit: int = 20) -> int:
        return self.outbox.deliver_due(limit)

    def tend(self) -> None:
        """Housekeeping: adopt incidents whose page no worker has, leave those whose runbook is gone to people, look
        again where that is owed, and forget what is past its retention."""
        digests = {name: page.digest for name, page in self.pages.by_name.items()}
        for orphan in self.ledger.orphans(digests):
            why = f"no worker has page {orphan.page} any more"
            self.ledger.adopt(orphan.incident, digests[orphan.runbook], diagnose_anew=True, reason=why)
        leave_to_people(self.ledger, tuple(digests), self.policy)
        owed_looks.take_due(self.ledger, self.pages, self.wakeups)
        polling.watch(self.ledger, self.policy)
        storms.tend(self.ledger, self.pages, self.policy)
        self.ledger.forget_before(
            max([self.policy.retention, *(page.cooldown for page in self.pages.by_name.values())])
        )

    def reset_guard(self, key: str, who: str, why: str) -> int:
        """A person's word that what was spent on this key counts no more; how many spends. Raises BadInput where that
        may not be, and Unavailable, also where the reset is kept and the budgets store will learn it when it is back.
        """
        ended = self.ledger.reset_guard(key, who, why)
        try:
            rebuild(self.ledger, self.budgets)
        except Unavailable as gone:
            raise Unavailable(f"the reset is kept and counts as soon as the budgets store is back: {gone}") from gone
        return ended

    def anchor(self, as_of: datetime | None = None) -> Anchor:
        """One digest over all journals as they were then, for a log outside of the ledger. What the retention is about
        to forget is left out, so that the same time gives the same digest for weeks. Raises BadInput (too late)."""
        return self.ledger.anchor(as_of, min(ANCHORED, self.policy.retention / 2))
