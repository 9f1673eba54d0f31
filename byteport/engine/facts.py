"""The facts that guards are asked on, read just before an attempt. What cannot be read denies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byteport.engine import locks
from byteport.engine.policy import Policy
from byteport.grammar.guards import Facts
from byteport.model.signal import Mode
from byteport.records.standing import PauseRow, Standing, when_resumed
from byteport.stores import Ledger

if TYPE_CHECKING:
    from byteport.engine.errand import Errand


def look_now(ledger: Ledger, policy: Policy, errand: Errand) -> Facts:
    """One statement to the ledger, the switches of this process and host, and the target's annotations.

    Raises Unavailable when the ledger cannot be read.
    """
    incident = errand.incident
    target = incident.signal.target
    standing = ledger.standing(incident.id, incident.runbook, target)
    return Facts(
        evidence=errand.evidence,
        runbook=incident.runbook,
        incident=incident.id,
        now=standing.now,
        mode=_mode_now(policy, standing, errand),
        annotations=policy.annotations(target),
        held=standing.held,
        needed=_locks_of(policy, errand, standing),
        paused=paused_words(standing.pauses, here := policy.paused_here()),
        resumes=when_resumed([row.who for row in standing.pauses], here),
        silenced=standing.silence or policy.maintenance(incident.runbook, incident.signal, standing.now),
        silenced_until=standing.silenced_until,
        vetoed=standing.veto.why if standing.veto else "",
        vetoed_until=standing.veto.until if standing.veto else None,
        saw_the_veto=standing.veto is not None and standing.veto.incident == incident.id,
        lasting=standing.lasting,
        self_keys=standing.self_keys | policy.self_targets,
        storm=standing.storm,
        storm_until=standing.storm_until,
        other_configuration=_other_than(policy.configuration, standing.configurations),
        undoing=errand.direction == "undo",
        live_since=standing.promotion.live_since if standing.promotion else None,
        by_person=incident.person,
        asked=incident.mode is Mode.APPROVE,  # such an incident leaves PLAN by a person's word alone
        options=policy.options_of(errand.page, target),
        spent=errand.spent,
        done=errand.done,
    )


def _locks_of(policy: Policy, errand: Errand, standing: Standing) -> frozenset[str]:
    """What has to be held for this errand; an undo takes its own, whatever became of the run's."""
    target, plan = errand.incident.signal.target, errand.incident.plan
    if errand.direction == "undo":
        return frozenset(lock.key for lock in locks.of_undo(target, errand.action))
    wanted = locks.wanted(errand.page, target, plan, policy, standing.known_targets) if plan is not None else ()
    return frozenset(lock.key for lock in wanted)


def _mode_now(policy: Policy, standing: Standing, errand: Errand) -> Mode:
    """An undo was decided when its step was; else the incident's mode, held back by what stands now."""
    incident = errand.incident
    if errand.direction == "undo":
        return Mode.LIVE
    if incident.person:
        return incident.mode if policy.ceiling_of(incident.runbook) is not Mode.DRY_RUN else Mode.DRY_RUN
    return policy.stricter(policy.mode_of(incident.runbook, standing.promotion), incident.mode)


def _other_than(ours: str, alive: tuple[str, ...]) -> str:
    """A digest that another living process works with; a process without one of its own (a test's) compares nothing."""
    return next((digest for digest in alive if digest and digest != ours), "") if ours else ""


def paused_words(pauses: tuple[PauseRow, ...], here: str) -> str:
    """Who paused and why; empty when nothing is paused."""
    words = [f"{row.who}: {row.why}" + (f" ({row.runbook})" if row.runbook else "") for row in pauses]
    return "; ".join([*words, *([here] if here else [])])
