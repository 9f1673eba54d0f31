"""What a plan owes afterwards, settled through the gate: never blindly, never over a person's later change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from byteport.engine import locks
from byteport.engine.veto import veto_of
from byteport.engine.work import Work
from byteport.errors import Stale, Transient, Unavailable
from byteport.grammar.plan import Do
from byteport.model.units import seconds
from byteport.records.change import Change, Settlement
from byteport.records.event import Event
from byteport.records.intent import Intent, Obligation
from byteport.records.outcome import Done, Failed, Held, Refused
from byteport.redaction import redact

LOOK_EVERY = seconds(30)
ENOUGH = seconds(8)  # of a claim, beside what the undo itself may take: its looks before and after
TELL_WITHIN = 30.0  # seconds that people may be kept waiting for an undo's look


def settle_next(work: Work) -> Change | None:
    """One step towards settling what is owed; None when nothing is owed or it is too early to look again.

    The newest step's obligation first. Odd tries have a round out.
    """
    owed = work.owed
    if not owed or not _is_time(work, owed):
        return None
    if seen := [event for obligation in owed for event in _seen_done(work, obligation)]:
        return _settled(work, tuple(seen), attempt=0)
    if work.incident.attempt % 2 == 0 and (fields := _fields(work, owed)):
        within = math.inf if work.incident.escalated_at else TELL_WITHIN
        return work.look(fields, "may it be undone?", at_most=within, attempt=work.incident.attempt + 1)
    events, stopped_at = _settle_all(work, owed)
    attempt = 1 if stopped_at else 0  # what was seen serves those that are left as well
    return _settled(work, events, attempt=attempt, undo_after=stopped_at, undo_checked_at=work.now)


def _settled(work: Work, events: tuple[Event, ...], **changes: Any) -> Change:
    """Saved with the move; one that could not be carried out is told to people."""
    undone = work.incident.undone or any(event.data.get("undone") for event in events)
    lost = [f"undo of {event.text}" for event in events if event.data.get("state") == "escalated"]
    if lost:
        changes |= {"reason": "; ".join([work.incident.reason, *lost]), "severity_told": ""}
    change = work.wait(seconds(0), *events, undone=undone, **changes)
    return change.with_(settled=tuple(_settlement(event) for event in events if event.kind == "undo"))


def _settle_all(work: Work, owed: Sequence[Obligation]) -> tuple[tuple[Event, ...], str]:
    """In reverse: while what was done last to a subject is still owed, nothing older is undone there. Where they take
    long the rest is for another move, which begins behind the one that is named: a claim does not last for all."""
    told: list[Event] = []
    waiting: set[str] = set()
    numbers = [obligation.id for obligation in owed]
    first = numbers.index(work.incident.undo_after) + 1 if work.incident.undo_after in numbers else 0
    waiting |= {obligation.undo.action.subject for obligation in owed[:first]}
    for n, obligation in enumerate(owed[first:], start=first):
        subject = obligation.undo.action.subject
        if subject in waiting:
            continue
        if n > first and not work.lease.lasts(ENOUGH + obligation.undo.action.timeout):
            return tuple(told), numbers[n - 1]
        events = _settle_whatever(work, obligation)
        if not any(event.kind == "undo" for event in events):
            waiting.add(subject)
        told += events
    return tuple(told), ""


def _settle_whatever(work: Work, obligation: Obligation) -> list[Event]:
    """A target that is gone, a bug in an action, a check that the page does not have any more: it waits for its
    deadline and then for a person, and holds nothing else up."""
    try:
        return _settle(work, obligation)
    except (Stale, Unavailable):
        raise
    except Transient as hiccup:
        if work.now < obligation.by:
            raise
        return _held(work, obligation, str(hiccup))
    except Exception as problem:  # noqa: BLE001 - whatever a page's own code raises
        return _held(work, obligation, str(redact(f"{type(problem).__name__}: {problem}"))[:500])


def was_tried(work: Work) -> bool:
    """Once since the incident came to people; nothing is out for another try."""
    incident = work.incident
    return incident.undo_checked_at is not None and (incident.attempt % 2 == 0 or bool(incident.undo_after))


def is_owed(work: Work) -> bool:
    return bool(work.owed)


def is_under_way(work: Work) -> bool:
    """One has been opened and has not ended: its locks are kept."""
    return any(intent.direction == "undo" and intent.outcome is None for intent in work.intents)


def _is_time(work: Work, owed: Sequence[Obligation]) -> bool:
    checked = work.incident.undo_checked_at
    due = checked is None or work.now - checked >= LOOK_EVERY
    return due or work.incident.attempt % 2 == 1 or any(o.by <= work.now for o in owed if checked and o.by > checked)


def _seen_done(work: Work, obligation: Obligation) -> list[Event]:
    """An undo that had begun when its worker died, and shows, or was settled: its condition is not asked again."""
    intent = next((i for i in work.intents if i.direction == "undo" and i.step == obligation.step), None)
    match intent.outcome if intent is not None else None:
        case None if intent is not None and intent.attempts and work.has_hands and work.gate.is_seen(intent):
            return [_closed(obligation, "done", "seen to have happened", ours=True)]
        case Done(ours=True) as done:
            return [_closed(obligation, "done", done.note or "undone", ours=True)]
        case Failed() as failed:
            return [_closed(obligation, "escalated", failed.reason)]
        case _:
            return []


def _fields(work: Work, owed: Sequence[Obligation]) -> tuple[str, ...]:
    checks = [obligation.undo.when for obligation in owed if obligation.undo.when]
    return tuple(dict.fromkeys(name for check in checks for name in work.page.checks.get(check, ())))


def _settle(work: Work, obligation: Obligation) -> list[Event]:
    """Do it when its condition is known to hold; else wait for it, and at the deadline escalate or drop."""
    when = obligation.undo.when
    truth = work.check(when) if when else None
    stale = when is not None and work.too_old(work.page.checks.get(when, ()))
    if truth is None or (truth.value and not stale):
        return _perform(work, obligation)
    if work.now < obligation.by:
        return []
    state = "dropped" if obligation.undo.otherwise == "drop" else "escalated"
    seen = "what was seen of it was too old by then" if stale else truth.because
    why = f"{when} did not come true by its deadline: {seen}"
    return [_closed(obligation, state, why)]


def _perform(work: Work, obligation: Obligation) -> list[Event]:
    if work.incident.plan is None:  # its name at the target comes of the plan, and another name might do it twice
        return [_closed(obligation, "escalated", "its plan cannot be read here")]
    taken = locks.of_undo(work.incident.signal.target, obligation.undo.action)
    if (conflict := work.ledger.take_locks(work.lease, taken)) is not None:
        return _held(work, obligation, f"{conflict.key} is held by {', '.join(conflict.holders[:5])}")
    step = Do(move=obligation.move, action=obligation.undo.action)
    outcome = work.gate.perform(work.errand(obligation.step, step, "undo"))
    match outcome:
        case Done() if not outcome.ours and (act := _act_of(work, obligation)) is not None:
            new = veto_of(act, work.page.name, work.incident.signal.target, work.incident.id)
            work.ledger.veto(new)
            return [_closed(obligation, "escalated", new.why)]
        case Done():
            return [_closed(obligation, "done", outcome.note or "undone", ours=outcome.ours)]
        case Failed():
            return [_closed(obligation, "escalated", outcome.reason)]
        case Held() if work.now >= obligation.by + obligation.undo.action.patience:
            return [_closed(obligation, "escalated", outcome.reason)]
        case Held():
            return [Event(kind="held", text=f"undo of {obligation.move}: {outcome.reason}")]
        case Refused():
            return _held(work, obligation, outcome.blocking.reason)


def _act_of(work: Work, obligation: Obligation) -> Intent | None:
    """What is to be undone, where it was certainly done, and by us; else nobody undid anything."""
    found = next((intent for intent in work.intents if intent.key == obligation.intent), None)
    ours = found is not None and isinstance(found.outcome, Done) and found.outcome.ours
    return found if ours else None


def _held(work: Work, obligation: Obligation, why: str) -> list[Event]:
    """Something stands in its way: it waits for that until its deadline, and then for a person."""
    if work.now >= obligation.by:
        return [_closed(obligation, "escalated", why)]
    return [Event(kind="verdict", text=f"undo of {obligation.move} held: {why}")]


def _closed(obligation: Obligation, state: str, why: str, *, ours: bool = False) -> Event:
    """Told and settled together, when the move is saved."""
    return Event(
        kind="undo",
        text=f"{obligation.move}: {state}: {why}",
        data={"obligation": obligation.id, "state": state, "why": why, "undone": ours},
    )


def _settlement(told: Event) -> Settlement:
    return Settlement(obligation=told.data["obligation"], state=told.data["state"], why=told.data["why"])
