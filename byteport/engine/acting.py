"""ACT: take the plan's locks, look again before the first write, then one step a move; `steps` has those that write
nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from byteport.engine import clearing, locks, steps
from byteport.engine.asking import FRESH
from byteport.engine.deciding import hand_over
from byteport.engine.work import MOST_RELOOKS, Work, jittered
from byteport.grammar.diagnosis import Diagnosis
from byteport.grammar.plan import Await, Do, EndIf, HandOver, Look, Pause, Plan, Tell
from byteport.grammar.truth import truth_of
from byteport.grammar.verdict import Verdict
from byteport.model.units import minutes, seconds
from byteport.records.change import Change, LockConflict
from byteport.records.event import Event
from byteport.records.incident import Phase
from byteport.records.intent import Intent
from byteport.records.outcome import Done, Failed, Held, Refused

LOCKS_WAIT = minutes(5)
GUARD_WAIT = minutes(5)


def act(work: Work) -> Change:
    """One step. A crash repeats at most this one, and every one is safe to repeat."""
    incident, plan = work.incident, work.incident.plan
    if not work.has_hands:
        return _left_to_hands(work)
    if plan is None:
        return work.escalate("acting without a plan")
    if (change := clearing.cancelled(work)) is not None:
        return change
    if not incident.locked:
        return _take_locks(work, plan)
    if incident.cursor >= len(plan.steps):
        return _end(work, plan)
    return _step(work, plan)


def _left_to_hands(work: Work) -> Change:
    """It is for whoever can reach the target, and for people where nobody does."""
    untaken = "no acting worker has taken it up: none is alive, or all are busy"
    return work.escalate(untaken) if work.stands_in else Change(incident=work.incident)


def _step(work: Work, plan: Plan) -> Change:
    match plan.steps[work.incident.cursor]:
        case Do() as step:
            return _do(work, step)
        case Look() as step:
            return steps.look(work, step)
        case Pause() as step:
            return steps.pause(work, step)
        case Await() as step:
            return steps.await_until(work, step)
        case EndIf() as step:
            return steps.end_if(work, step)
        case Tell() as step:
            return steps.tell(work, step)


def _take_locks(work: Work, plan: Plan) -> Change:
    """All or none; keep nothing while waiting, and give up after five minutes."""
    incident, target = work.incident, work.incident.signal.target
    known = work.ledger.known_targets(str(target.kind))
    conflict = work.ledger.take_locks(work.lease, locks.wanted(work.page, target, plan, work.policy, known))
    if conflict is None:
        began = {"locked": True, "waiting_since": None, "looked_round": incident.round}
        return work.wait(timedelta(0), Event(kind="locks", text="all locks taken"), **began)
    since = incident.waiting_since or work.now
    verdict = _conflict(conflict)
    if work.now - since >= LOCKS_WAIT:
        return work.escalate(verdict.reason, _told(verdict), blocked_by_guard=True)
    first = () if incident.waiting_since else (_told(verdict),)
    return work.wait(jittered(seconds(5)), *first, waiting_since=since)


def _conflict(conflict: LockConflict) -> Verdict:
    holders = ", ".join(conflict.holders[:5])
    who = f"incident {holders} lets" if len(conflict.holders) == 1 else f"one of the incidents {holders} lets"
    return Verdict(
        guard=conflict.guard,
        kind="lock",
        allowed=False,
        limit=str(conflict.limit),
        current=str(len(conflict.holders)),
        on_hit="wait",
        reason=f"{conflict.key} is held by {holders}",
        lifts=f"when {who} go of {conflict.key}",
        counter=conflict.key,
    )


def _told(verdict: Verdict) -> Event:
    return Event(kind="verdict", text=f"{verdict.guard}: {verdict.reason}", data=verdict.model_dump(mode="json"))


def _do(work: Work, step: Do) -> Change:
    if change := _needs_a_look(work, step):
        return change
    errand = work.errand(work.incident.cursor, step)
    outcome = work.gate.perform(errand)
    verdicts = {"move": step.move, "verdicts": [verdict.model_dump(mode="json") for verdict in errand.heard]}
    match outcome:
        case Done():
            told = _outcome(f"{step.move}: {outcome.note or 'done'}", outcome, verdicts)
            return steps.next_step(work, told)
        case Failed():
            told = _outcome(f"{step.move} failed: {outcome.reason}", outcome, verdicts)
            if step.otherwise == "go_on" and not outcome.unknown:
                return steps.next_step(work, told)
            return work.escalate(f"{step.move} failed: {outcome.reason}", told)
        case Held():
            told = Event(kind="held", text=f"{step.move}: {outcome.reason}", data=verdicts)
            since = work.incident.waiting_since or work.now
            if work.now - since >= GUARD_WAIT + step.action.patience:
                return work.escalate(f"{step.move}: {outcome.reason}", told)
            return work.wait(outcome.after, told, attempt=work.incident.attempt + 1, waiting_since=since)
        case Refused():
            return _refused(work, step, outcome, errand.heard)


def _outcome(text: str, outcome: Done | Failed, verdicts: dict[str, Any]) -> Event:
    return Event(kind="outcome", text=text, data={**outcome.model_dump(mode="json"), **verdicts})


def _needs_a_look(work: Work, step: Do) -> Change | None:
    """Before the first write the condition must still hold, on evidence of the last 30 s; a guard's facts always."""
    diagnosis = work.incident.diagnosis
    fields = {name for guard in work.page.guards_of(step.move) for name in guard.reads}
    if not work.has_written and diagnosis is not None:
        fields |= set(diagnosis.reads)
    old = [name for name in fields if work.evidence.age_of(name) > FRESH or name not in work.evidence.taken_at]
    if old and work.incident.relooks >= MOST_RELOOKS:
        return work.escalate(f"{', '.join(sorted(old))} cannot be looked at again, and is too old to act on")
    if old:
        return work.look(tuple(sorted(fields)), "looking again before acting", relooks=work.incident.relooks + 1)
    if work.has_written or diagnosis is None or not diagnosis.conclusive:
        return None
    rule = next((rule for rule in work.page.rules if rule.name == diagnosis.name), None)
    truth = truth_of(rule.when, work.evidence) if rule is not None else None
    if truth is None or truth.value:  # a catch-all has no condition of its own
        return None
    if truth.value is None:
        return work.escalate(f"{diagnosis.name} cannot be told any more: {truth.because}")
    return _no_longer_so(work, diagnosis)


def _no_longer_so(work: Work, before: Diagnosis) -> Change:
    """Well by itself, or something else by now, which nobody has planned for. All there is is looked at first."""
    fields = tuple(work.page.evidence.FIELDS)
    old = [name for name in fields if work.evidence.age_of(name) > FRESH or name not in work.evidence.taken_at]
    if old and work.incident.relooks < MOST_RELOOKS:
        why = f"{before.name} is no longer so: looking at everything"
        return work.look(fields, why, relooks=work.incident.relooks + 1)
    now = work.page.diagnose(work.evidence)
    if clearing.is_over(work, before, now):
        return clearing.recovered(work, f"{before.name} is no longer so")
    return work.escalate(f"{before.name} is no longer so, and it is not well: {now.name} by now, {now.because}")


def _refused(work: Work, step: Do, refused: Refused, heard: Sequence[Verdict]) -> Change:
    """The blocking guard's own word decides what comes next; the journal has what every other one said too."""
    blocking = refused.blocking
    said = {verdict.guard for verdict in refused.verdicts}
    verdicts = [verdict for verdict in heard if verdict.guard not in said] + list(refused.verdicts)
    told = Event(
        kind="verdict",
        text=f"{step.move} refused by {blocking.guard}: {blocking.reason}",
        data={
            "move": step.move,
            "blocking": blocking.model_dump(mode="json"),
            "verdicts": [verdict.model_dump(mode="json") for verdict in verdicts],
        },
    )
    match blocking.on_hit:
        case "skip":
            return steps.next_step(work, told)
        case "wait":
            since = work.incident.waiting_since or work.now
            if work.now - since < GUARD_WAIT:
                return work.wait(jittered(seconds(10)), told, waiting_since=since)
            return work.escalate(f"waited 5 min for {blocking.guard}: {blocking.reason}", told, blocked_by_guard=True)
        case "end" if not work.has_written:
            change = work.go(Phase.WRITE_UP, told, ending="suppressed", reason=blocking.reason, blocked_by_guard=True)
            return change.with_(release_locks=True)
        case _:
            return work.escalate(f"{blocking.guard}: {blocking.reason}", told, blocked_by_guard=True)


def _end(work: Work, plan: Plan) -> Change:
    if isinstance(plan.end, HandOver):
        return hand_over(work, plan.end)
    if plan.end == "verify" and (
        cut := [intent for intent in work.intents if intent.left and intent.direction == "do"]
    ):
        return work.escalate(f"a cap left some for a person: {'; '.join(map(_rest_of, cut))}")
    return steps.finish(work, plan.end, plan.reason)


def _rest_of(intent: Intent) -> str:
    caps = dict.fromkeys(claim.guard for claim in intent.claims if claim.up_to)
    return f"{intent.move}, {intent.left} of {intent.asked} ({', '.join(caps)})"
