"""From a signal to a plan: OPEN, PROBE, CLASSIFY, PLAN. These moves change nothing but the incident."""

from __future__ import annotations

from datetime import timedelta

from byteport.engine import approving, clearing, owed_looks
from byteport.engine.rehearsal import rehearse
from byteport.engine.standing import NotSilenced
from byteport.engine.work import Work
from byteport.grammar.diagnosis import Diagnosis
from byteport.grammar.plan import HandOver, Plan
from byteport.grammar.truth import truth_of
from byteport.grammar.verdict import Verdict
from byteport.model.signal import Mode, Severity, Signal
from byteport.records.change import Change
from byteport.records.event import Event
from byteport.records.incident import Phase
from byteport.records.standing import Standing


def open_incident(work: Work) -> Change:
    """Ask everything at once: one group of probes for each connection."""
    return work.look(tuple(work.page.evidence.FIELDS), "diagnosis", phase=Phase.PROBE)


def probe(work: Work) -> Change:
    """All answers are in, or the deadline has passed: classify with what came."""
    lost = work.incident.pending
    return work.go(
        Phase.CLASSIFY, text=f"{lost} probe groups did not answer in time" if lost else "all probes answered"
    )


def classify(work: Work) -> Change:
    """The diagnosis, and whether it is good enough to go on."""
    diagnosis, floor = work.page.diagnose(work.evidence), work.policy.floor_of(work.page)
    told = Event(
        kind="diagnosis",
        text=f"{diagnosis.name}: {diagnosis.because}",
        data={**diagnosis.model_dump(mode="json"), "looked_at": work.now.isoformat(), "floor": floor},
    )
    if work.incident.follows:
        return owed_looks.decide(work, diagnosis, told, None if _is_critical(work) else _silenced(work))
    if _is_well(work, diagnosis):
        why = "nothing to do: every rule is known not to hold"
        return work.go(Phase.WRITE_UP, told, text=why, diagnosis=diagnosis, ending="recovered", reason=why)
    if not diagnosis.conclusive:
        return work.escalate(f"{diagnosis.name}: {diagnosis.because}", told, diagnosis=diagnosis)
    if diagnosis.confidence < floor:
        verdict = _below_the_floor(diagnosis.confidence, floor)
        data = {"blocking": verdict.model_dump(mode="json"), "verdicts": [verdict.model_dump(mode="json")]}
        refused = Event(kind="verdict", text=f"{verdict.guard}: {verdict.reason}", data=data)
        return work.escalate(verdict.reason, told, refused, diagnosis=diagnosis)
    return work.go(Phase.PLAN, told, text=diagnosis.name, diagnosis=diagnosis)


def _is_well(work: Work, diagnosis: Diagnosis) -> bool:
    """A person had it looked at, no source says that anything is wrong, and nothing is."""
    incident, rules = work.incident, {rule.name for rule in work.page.rules}
    only_asked = bool(incident.person) and not incident.parent and incident.signals_seen == 1
    read = [line for line in diagnosis.considered if line.name in rules]
    return only_asked and bool(read) and all(line.held is False for line in read) and clearing.is_well(work)


def _below_the_floor(confidence: int, floor: int) -> Verdict:
    told, least = f"{confidence / 100:.2f}", f"{floor / 100:.2f}"
    reason = f"confidence {told} is below the floor {least}"
    return Verdict(
        guard="confidence_floor", kind="precondition", allowed=False, limit=least, current=told, reason=reason
    )


def plan(work: Work) -> Change:
    """Freeze the plan, and let the mode and what stands decide whether it is rehearsed, asked for, or carried out."""
    incident = work.incident
    if incident.plan is not None:
        return clearing.cancelled(work) or approving.asked_before(work)
    if incident.diagnosis is None:
        return work.escalate("planned without a diagnosis")
    made = work.page.plan(incident.diagnosis, work.evidence)
    told = Event(
        kind="plan",
        text=_in_words(made),
        data={**made.model_dump(mode="json"), "digest": made.digest, "looked_at": work.now.isoformat()},
    )
    if not made.steps:
        return _nothing_to_do(work, made, told)
    if incident.mode is Mode.DRY_RUN:
        return _rehearsed(work, made, told)
    if (held_back := _suppressed(work)) is not None:
        return _left_alone(work, made, told, held_back)
    if (over := clearing.cancelled(work)) is not None:
        return over
    if incident.mode is Mode.APPROVE:
        return approving.ask(work, made, told)
    return work.go(Phase.ACT, told, text=_in_words(made), plan=made)


def _nothing_to_do(work: Work, made: Plan, told: Event) -> Change:
    match made.end:
        case HandOver() as over:
            return hand_over(work, over, told, plan=made)
        case "verify":
            return work.go(
                Phase.WRITE_UP, told, text="nothing to do", plan=made, ending="recovered", reason=made.reason
            )
        case _:
            why = made.reason or f"{_class_of(work)} is for a person"
            return work.escalate(why, told, plan=made, blocked_by_guard=made.withheld)


def hand_over(work: Work, over: HandOver, *events: Event, **changes: object) -> Change:
    """End here and let another page treat the target as a child incident (depth 1)."""
    if work.incident.parent:
        return work.escalate(f"would hand over to {over.to}, but was handed over itself", *events, **changes)
    change = work.go(
        Phase.WRITE_UP,
        *events,
        text=f"handed over to {over.to}",
        ending="handed_over",
        reason=over.reason,
        **changes,
    )
    told = work.incident.signal
    child: Signal = told.with_(
        summary=over.reason, event_id="", name=over.signal or told.name, target=over.target or told.target
    )
    return change.with_(child=child, child_runbook=over.runbook, release_locks=True)


def _rehearsed(work: Work, made: Plan, told: Event) -> Change:
    """Dry run: every Do step walked with its verdicts; waits and looks are listed and take no time."""
    planned = work.incident.model_copy(update={"plan": made})
    rehearsal = Work(planned, work.lease, work.page, work.ledger, work.gate, work.policy, work.has_hands)
    walked = rehearse(work.gate, [rehearsal.errand(number, step) for number, step in made.dos])
    lines = tuple(
        Event(
            kind="rehearsal",
            text=f"would {preview}" if all(verdicts) else f"would be refused: {preview}",
            data={
                "step": errand.number,
                "move": errand.step.move,
                "allowed": all(verdicts),
                "preview": preview,
                "verdicts": [verdict.model_dump(mode="json") for verdict in verdicts],
            },
        )
        for errand, preview, verdicts in walked
    )
    return work.go(Phase.WRITE_UP, told, *lines, text="rehearsed", plan=made, ending="rehearsed", reason="dry run")


def _suppressed(work: Work) -> Verdict | None:
    """What makes this page leave the target alone for now: cooldown, silence or maintenance. Opt-outs are guards."""
    incident, target = work.incident, work.incident.signal.target
    standing = work.ledger.standing(incident.id, incident.runbook, target)
    acted = standing.acted_ago
    if acted is not None and acted < work.page.cooldown and not incident.person:
        return _cooling(work, work.page.cooldown - acted)
    return _silenced(work, standing)


def _silenced(work: Work, known: Standing | None = None) -> Verdict | None:
    """By a silence, or by a maintenance window."""
    incident = work.incident
    standing = known or work.ledger.standing(incident.id, incident.runbook, incident.signal.target)
    why = standing.silence or work.policy.maintenance(incident.runbook, incident.signal, standing.now)
    return NotSilenced(name="silence").silenced(why, standing.silenced_until) if why else None


def _cooling(work: Work, left: timedelta) -> Verdict:
    return Verdict(
        guard="runbook_cooldown",
        kind="cooldown",
        allowed=False,
        limit="1",
        current="1",
        frees_at=work.now + left,
        on_hit="end",
        lifts=f"when the cooldown of {work.page.name} on this target ends",
        reason=f"in cooldown for another {left.total_seconds():.0f} s",
    )


def _left_alone(work: Work, made: Plan, told: Event, held_back: Verdict) -> Change:
    """Suppressed; at its critical threshold a person is told instead."""
    why = held_back.reason
    verdict = Event(
        kind="verdict",
        text=f"{held_back.guard}: {why}",
        data={"blocking": held_back.model_dump(mode="json")},
    )
    if _is_critical(work):
        return work.escalate(f"not acted: {why}", told, verdict, plan=made, blocked_by_guard=True)
    return work.go(Phase.WRITE_UP, told, verdict, text=why, plan=made, ending="suppressed", reason=why)


def _is_critical(work: Work) -> bool:
    """At the page's critical threshold; where it names none, as severe as the source says."""
    if work.page.critical is None:
        return work.incident.signal.severity is Severity.CRITICAL
    return truth_of(work.page.critical, work.evidence).value is not False


def _class_of(work: Work) -> str:
    return work.incident.diagnosis.name if work.incident.diagnosis else "this"


def _in_words(made: Plan) -> str:
    steps = ", ".join(getattr(step, "move", step.step) for step in made.steps)
    return steps or f"no steps; {made.end if isinstance(made.end, str) else made.end.to}"
