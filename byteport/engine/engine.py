"""The engine: `move` is the whole scheduler. A move is one phase's function from what is known to what shall stand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from byteport.engine import acting, deciding, ending, polling, storms, verifying
from byteport.engine.gate import Gate
from byteport.engine.gathering import ask_all
from byteport.engine.intake import ByHand, Intake, Taken
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.engine.rebuilding import rebuild
from byteport.engine.stranded import leave_to_people
from byteport.engine.work import Work, jittered
from byteport.errors import NotKnown, Permanent, Stale, Transient, Unavailable
from byteport.grammar.evidence import fields_of
from byteport.grammar.runbook import Runbook
from byteport.model.signal import Signal
from byteport.model.units import days, seconds
from byteport.ports import Readers, Writers
from byteport.records.audit import Anchor
from byteport.records.change import Change, Lease
from byteport.records.event import Event
from byteport.records.evidence import Looked
from byteport.records.incident import Incident, Phase
from byteport.redaction import redact
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
MOST_TRIES = 5
ANCHORED = days(30)
MOST_VAIN_CLAIMS = 5


@dataclass(frozen=True)
class Engine:
    """`driver` is empty for the fleet; a process that drives one incident of its own has a name.

    `has_hands`: this process may reach targets, to act and to see whether an act has happened. `stands_in`: nobody who
    has hands can be woken now, so people are told before everything is settled.
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
    def look(self, incident_id: str, round_: int, group: str) -> Looked:
        """Take a probe group, ask its probes, store the answers. A group that is answered or held is left alone, and
        one with a field that only a newer page has is left to whoever has it: its lease lapses and it is sent again."""
        lease = self.ledger.take_group(incident_id, round_, group)
        incident = self.ledger.incident(incident_id) if lease is not None else None
        page = self.pages.by_name.get(incident.runbook) if incident is not None else None
        if (
            lease is None
            or incident is None
            or page is None
            or not set(lease.fields) <= fields_of(page.evidence).keys()
        ):
            return Looked(stored=False, completes_the_round=False)
        target = incident.signal.target
        options = self.policy.options_of(page, target)
        return self.ledger.store_answers(lease, ask_all(page, lease.fields, target, self.readers, options))

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
        incident, lease = claimed
        try:
            saved = self.ledger.save(self._with_child(self._decide(incident, lease), incident, lease), lease)
        except Stale:
            return None  # another worker's now
        except Permanent as refused:  # the ledger will not have it so: a person looks
            work = self._work(incident, lease)
            saved = self.ledger.save(_give_up(work, f"the ledger refused the move: {refused}"), lease)
        return saved.model_copy(update={"is_due_now": saved.due_at <= lease.now})

    def _decide(self, incident: Incident, lease: Lease) -> Change:
        work = self._work(incident, lease)
        if incident.command in ("cancel", "close") and incident.phase not in (Phase.WRITE_UP, Phase.CLOSED):
            return ending.commanded(work)
        if work.is_looking:
            return Change(incident=incident.model_copy(update={"due_at": incident.look_until}))
        told = incident.phase in (Phase.ESCALATE, Phase.WRITE_UP) and incident.escalated_at is not None
        if incident.claimed_in_vain >= MOST_VAIN_CLAIMS and not told:
            return _give_up(work, f"claimed {incident.claimed_in_vain} times without a result")
        try:
            return MOVES[incident.phase](work)
        except (Stale, Unavailable):
            raise
        except NotKnown as gap:
            return _give_up(work, f"a plan asked for what no probe could tell: {gap}")
        except Transient as problem:
            return _again(work, str(problem))
        except Permanent as problem:
            return _give_up(work, str(problem))
        except Exception as bug:  # a bug in a page pages a person, not the queue
            log.exception("bug", runbook=incident.runbook, incident=incident.id)
            return _give_up(work, f"bug in {incident.runbook}: {bug!r}")

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

    def _work(self, incident: Incident, lease: Lease) -> Work:
        gate = Gate(self.ledger, self.budgets, self.readers, self.writers, self.policy)
        page = self.pages[incident.runbook]
        return Work(incident, lease, page, self.ledger, gate, self.policy, self.has_hands, self.stands_in)

    def stand_in(self, incident_id: str) -> Incident | None:
        """Where nobody who has hands takes it up: people are told what is known, and no target is reached."""
        return replace(self, stands_in=True, has_hands=False).move(incident_id)

    def run(
        self,
        incident_id: str,
        phases: Collection[Phase],
        may_go_on: Callable[[Incident], bool] = lambda _incident: True,
    ) -> Incident | None:
        """Move on while it is due now, in one of `phases`, and `may_go_on` says so; the last state, or None."""
        incident = self.move(incident_id)
        while incident is not None and incident.phase in phases and self._goes_on(incident) and may_go_on(incident):
            following = self.move(incident_id)
            if following is None:
                return incident
            incident = following
        return incident

    def _goes_on(self, incident: Incident) -> bool:
        """It is due now, and for this process."""
        for_hands = incident.wants_hands or incident.phase is Phase.ACT
        return incident.is_due_now and (self.has_hands or not for_hands)

    # -- keeping time ------------------------------------------------------------------------------------------------
    def wake_due(self, limit: int = 500) -> list[Due]:
        return self.ledger.wake_due(limit)

    def deliver_due(self, limit: int = 20) -> int:
        return self.outbox.deliver_due(limit)

    def tend(self) -> None:
        """Housekeeping: adopt incidents whose page no worker has, leave those whose runbook is gone to people, and
        forget what is past its retention."""
        digests = {name: page.digest for name, page in self.pages.by_name.items()}
        for orphan in self.ledger.orphans(digests):
            why = f"no worker has page {orphan.page} any more"
            self.ledger.adopt(orphan.incident, digests[orphan.runbook], diagnose_anew=True, reason=why)
        leave_to_people(self.ledger, tuple(digests), self.policy)
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


def _again(work: Work, problem: str) -> Change:
    """The same move after a while; a person after five tries."""
    incident = work.incident
    tries = incident.hiccups + 1
    if tries >= MOST_TRIES and incident.phase not in (Phase.ESCALATE, Phase.WRITE_UP):
        return _give_up(work, f"{problem} ({tries} tries)")
    delay = jittered(min(seconds(2) * 2 ** min(tries, MOST_TRIES), timedelta(minutes=1)))
    told = Event(kind="hiccup", text=str(redact(problem))[:500])
    changed = incident.model_copy(update={"due_at": work.now + delay, "hiccups": tries})
    return Change(incident=changed, events=(told,))


def _give_up(work: Work, problem: str) -> Change:
    """To a person; in plain words where the telling is what fails. Who was told already is left in peace: it is tried
    again after a minute, and then ever less often."""
    incident, told = work.incident, str(redact(problem))[:1000]
    event = Event(kind="problem", text=told)
    if incident.escalated_at is not None and incident.phase in (Phase.ESCALATE, Phase.WRITE_UP):
        tries = min(incident.hiccups + 1, MOST_TRIES)
        return work.wait(timedelta(minutes=1) * 2**tries, event, hiccups=tries)
    if incident.phase is Phase.ESCALATE:
        return ending.tell_plainly(work, told, event)
    return work.escalate(told, event)
