"""Steps of a plan that write nothing: looking, pausing, waiting, checking, telling; and how a plan goes on and ends."""

from __future__ import annotations

from datetime import timedelta

from byteport.engine import telling
from byteport.engine.work import Work
from byteport.grammar.plan import Await, EndIf, Look, Pause, Tell
from byteport.records.change import Change
from byteport.records.event import Event
from byteport.records.incident import Phase


def next_step(work: Work, *events: Event) -> Change:
    cursor = work.incident.cursor + 1
    return work.wait(timedelta(0), *events, cursor=cursor, attempt=0, waiting_since=None, steady_since=None)


def look(work: Work, step: Look) -> Change:
    incident = work.incident
    if incident.attempt == 0:
        rounds = {"looked_before": incident.looked_round, "looked_round": incident.round + 1}
        return work.look(step.fields, "the plan looks again", attempt=1, **rounds)
    return next_step(work)


def pause(work: Work, step: Pause) -> Change:
    if work.incident.attempt == 0:
        told = Event(kind="pause", text=f"waiting {step.length.total_seconds():g} s")
        return work.wait(step.length, told, attempt=1)
    return next_step(work)


def await_until(work: Work, step: Await) -> Change:
    """Odd tries have a round out, even ones wait for the next look."""
    incident = work.incident
    since = incident.waiting_since or work.now
    if incident.attempt % 2 == 0:
        fields = work.page.checks[step.check]
        return work.look(fields, f"waiting for {step.check}", attempt=incident.attempt + 1, waiting_since=since)
    if change := work.look_again(work.page.checks[step.check]):
        return change
    truth = work.check(step.check)
    steady = (incident.steady_since or work.now) if truth.value else None
    if steady is not None and work.now - steady >= step.steady:
        return next_step(work, Event(kind="check", text=f"{step.check}: {truth.because}"))
    if work.now - since >= step.within:
        told = Event(kind="check", text=f"{step.check} did not come true within {step.within}: {truth.because}")
        if step.otherwise == "go_on" and truth.value is not None:
            return next_step(work, told)
        return work.escalate(f"{step.check} did not come true", told)
    return work.wait(step.every, attempt=incident.attempt + 1, waiting_since=since, steady_since=steady)


def end_if(work: Work, step: EndIf) -> Change:
    if change := work.look_again(work.page.checks[step.check]):
        return change
    truth = work.check(step.check)
    word = "not so: " if truth.value is False else ""
    told = Event(
        kind="check", text=f"{step.check}: {word}{truth.because}", data={"value": truth.value, "end": step.end}
    )
    if truth.value is None:
        return work.escalate(f"{step.check} cannot be told: {truth.because}", told)
    if truth.value is False:
        return next_step(work, told)
    return finish(work, step.end, f"{step.check}: {truth.because}", told)


def tell(work: Work, step: Tell) -> Change:
    """People hear of it now; the whole story, where it becomes one for them, comes at the end."""
    if change := work.look_again(work.page.checks[step.check]):
        return change
    truth = work.check(step.check)
    if truth.value is False or work.incident.warned:
        return next_step(work, Event(kind="check", text=f"{step.check}: not so: {truth.because}"))
    reason = f"{step.reason}: {truth.because}"
    messages = telling.plainly(work, reason)
    told = Event(kind="escalation", text=reason, data={"channels": [message.channel for message in messages]})
    noted = {"warned": True, "told_at": work.now, "tellings": work.incident.tellings + 1}
    change = next_step(work, told)
    return change.with_(incident=change.incident.model_copy(update=noted), messages=messages)


def finish(work: Work, end: str, reason: str, *events: Event) -> Change:
    """Leave the plan by one of its three ends."""
    match end:
        case "verify" if work.has_written or work.has_done:
            return work.go(Phase.VERIFY, *events, text="verifying", verifying_since=work.now, reason=reason)
        case "verify":
            why = reason or "nothing was left to do"
            return work.escalate(f"no step was carried out: {why}", *events, blocked_by_guard=True)
        case "partial":
            change = work.go(Phase.WRITE_UP, *events, ending="partially_resolved", reason=reason)
            return change.with_(release_locks=True)
        case _:
            return work.escalate(reason or "the plan ends with a person", *events)
