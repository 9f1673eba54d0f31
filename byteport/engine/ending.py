"""ESCALATE and WRITE_UP: settle what is open, tell people once, rest, and close with the story."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from byteport.engine import owed_looks, paging, postmortem, telling, undo
from byteport.engine.work import Work
from byteport.model.signal import Severity
from byteport.model.units import days, minutes, seconds
from byteport.records.change import Change
from byteport.records.event import Event
from byteport.records.figures import key_of
from byteport.records.incident import Incident, Phase

REST = days(7)
CLEAR_FOR = minutes(10)


def escalate(work: Work) -> Change:
    """Settle intents, undo what may be undone, tell people; then rest until it is clear, closed, or seven days old."""
    incident = work.incident
    if work.wants_hands:
        return _told_meanwhile(work) or work.wait(timedelta(0), wants_hands=True)
    unsettled = _settle_intents(work)
    keep = unsettled or undo.is_under_way(work)
    untold = incident.escalated_at is None or _is_worse(incident)
    people_first = untold and undo.was_tried(work)  # else looks that take long would keep them waiting while it is owed
    if not unsettled and not people_first and (change := undo.settle_next(work)) is not None:
        return change
    if untold:
        return _told(work, unsettled).with_(release_locks=not keep)
    if not unsettled and (change := paging.next_word(work, _rest(work, unsettled))) is not None:
        return change.with_(release_locks=not keep)
    if (ending := _ended(work)) and not unsettled:
        return work.go(Phase.WRITE_UP, text=ending[1], ending=ending[0])
    return work.wait(_rest(work, unsettled)).with_(release_locks=not keep)


def _told(work: Work, unsettled: bool) -> Change:
    """People hear of it, or the journal alone where they have heard of it often enough."""
    incident = work.incident
    messages = telling.escalation(work) if paging.may_tell(work) else ()
    channels = {"channels": [message.channel for message in messages]}
    said = Event(kind="escalation", text=incident.reason, data=channels)
    noted: dict[str, Any] = {
        "escalated_at": incident.escalated_at or work.now,
        "severity_told": str(incident.signal.severity),
        "told_at": work.now if messages else incident.told_at,
        "tellings": incident.tellings + bool(messages),
        "of_a_storm": any(message.dedup_key == key_of(incident.runbook) for message in messages),
    }
    rest = _rest(replace(work, incident=incident.model_copy(update=noted)), unsettled)
    return work.wait(rest, said if messages else paging.spent(work, incident.reason), **noted).with_(messages=messages)


def _told_meanwhile(work: Work) -> Change | None:
    """No acting worker takes it up: people hear what is known, and the whole story when it is settled."""
    if not work.stands_in or work.incident.escalated_at is not None:
        return None
    change = tell_plainly(work, "what was begun is not settled yet, and no acting worker takes it up")
    again = {"reason": work.incident.reason, "severity_told": "", "wants_hands": True, "told_early": True}
    return change.with_(incident=change.incident.model_copy(update=again))


def tell_plainly(work: Work, problem: str, *events: Event) -> Change:
    """Something keeps the story from being told: people hear at once that there is one, and what the problem is."""
    incident = work.incident
    reason = f"{incident.reason}; {problem}" if incident.reason else problem
    messages = telling.plainly(work, reason)
    told = Event(kind="escalation", text=reason, data={"channels": [message.channel for message in messages]})
    since = {
        "escalated_at": work.now, "severity_told": str(incident.signal.severity),
        "told_at": work.now, "tellings": incident.tellings + 1,
    }  # fmt: skip
    return work.wait(minutes(1), *events, told, reason=reason, **since).with_(messages=messages)


def _settle_intents(work: Work) -> bool:
    """Whether a step's intent is still open after every one has been looked at; an undo's is settled by the undo, for
    as long as that is owed."""
    owed = {obligation.step for obligation in work.owed}
    ours = [intent for intent in work.intents if intent.direction == "do" or intent.step not in owed]
    settled = [work.gate.close_out(intent, work.lease) for intent in ours]  # every one is looked at
    return not all(settled)


def _is_worse(incident: Incident) -> bool:
    """A repeat with a higher severity is told again, and so is an undo that could not be carried out."""
    told = incident.severity_told
    return not told or incident.signal.severity.rank > Severity(told).rank


def _ended(work: Work) -> tuple[str, str] | None:
    incident = work.incident
    if incident.clear_since is not None and work.now - incident.clear_since >= CLEAR_FOR:
        return "recovered", "the condition has been clear for 10 min"
    if incident.escalated_at is not None and work.now - incident.escalated_at >= REST:
        return "closed", "escalated for 7 days"
    return None


def _rest(work: Work, unsettled: bool) -> timedelta:
    """Until the next thing that can happen by itself."""
    incident = work.incident
    if unsettled:
        return seconds(5)
    if undo.is_owed(work):
        return seconds(30)
    since = incident.escalated_at or work.now
    left = since + REST - work.now
    if incident.clear_since is not None:
        left = min(left, incident.clear_since + CLEAR_FOR - work.now)
    if (repeat := paging.due_in(work)) is not None:
        left = min(left, repeat or work.policy.repeat_after)
    return max(left, seconds(1))


def commanded(work: Work) -> Change:
    """A person's `cancel` or `close`: what was begun is settled first, in WRITE_UP."""
    incident = work.incident
    ending = "cancelled" if incident.command == "cancel" else "closed"
    why = f"{ending} by {incident.command_by}: {incident.command_why}"
    return work.go(Phase.WRITE_UP, Event(kind="command", text=why), text=why, ending=ending, reason=why, command="")


def write_up(work: Work) -> Change:
    """Close with the postmortem; not over an open intent or an undo that is owed."""
    incident = work.incident
    if work.wants_hands:
        return _told_meanwhile(work) or work.wait(timedelta(0), wants_hands=True)
    if _settle_intents(work):
        return work.wait(seconds(5))
    if (change := _came_back(work)) is not None:
        return change
    if (change := undo.settle_next(work)) is not None:
        return change
    if undo.is_owed(work):
        return work.wait(seconds(30)).with_(release_locks=not undo.is_under_way(work))
    if _owes_a_person(work):
        return work.escalate("an undo could not be carried out: " + incident.reason)
    again = owed_looks.owed_by(work)
    told = owed_looks.promised(work, again)
    closed = work.go(Phase.CLOSED, *told, text=incident.ending or "closed", closed_at=work.now)
    closed = closed.with_(owes_look=again.after if again is not None else None)
    story = postmortem.write(work, closed.incident)
    return closed.with_(postmortem=story, messages=telling.resolution(work), release_locks=True)


def _came_back(work: Work) -> Change | None:
    """A signal that is newer than the last look, and says that it is not over: looked at again before it closes."""
    incident, ending = work.incident, work.incident.ending
    if ending == "recovered" and incident.escalated_at is not None and not incident.told_early:
        resting = incident.clear_since is None
        return work.go(Phase.ESCALATE, text="the condition has come back", ending="") if resting else None
    if ending not in ("resolved", "recovered") or incident.clear_since is not None or not _is_newer(work):
        return None
    if ending == "resolved":
        return work.go(Phase.VERIFY, text="a signal came after the last look", ending="")
    anew = {"ending": "", "plan": None, "diagnosis": None, "cursor": 0}
    return work.go(Phase.OPEN, text="a signal came after the last look", **anew)


def _is_newer(work: Work) -> bool:
    """Than the look that verified it; an undo's own look says nothing about the condition."""
    signal, seen = work.incident.last_signal_at, work.incident.verified_at
    looks = [seen] if seen is not None and work.incident.ending == "resolved" else list(work.evidence.taken_at.values())
    return signal is not None and bool(looks) and signal > max(looks)


def _owes_a_person(work: Work) -> bool:
    """An obligation ended escalated and nobody has been told of it."""
    if work.incident.severity_told:
        return False
    return any(event.kind == "undo" and event.data.get("state") == "escalated" for event in work.events)
