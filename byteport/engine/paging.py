"""When people who were told of an incident hear of it again: a page that nobody takes is repeated, and whoever takes it
is named, once. All of it within the incident's budget of notifications; how it ended is told beside that."""

from __future__ import annotations

from datetime import timedelta

from byteport.engine import telling
from byteport.engine.work import Work
from byteport.model.signal import Mode, Severity
from byteport.records.change import Change
from byteport.records.event import Event

PAGES = (Severity.HIGH, Severity.CRITICAL)


def may_tell(work: Work) -> bool:
    """Whether the budget has one left. The first escalation never finds it spent: before it there are at most the two
    times that a plan was asked for."""
    return work.incident.escalated_at is None or work.incident.tellings < work.policy.notifications


def spent(work: Work, reason: str) -> Event:
    """For the journal, instead of telling."""
    return Event(
        kind="untold", text=f"{reason}; the {work.policy.notifications} notifications of an incident are spent"
    )


def due_in(work: Work) -> timedelta | None:
    """Until an unacknowledged page is repeated; None where it is not. What was only rehearsed is no page, what has
    cleared is none any more, and a storm has its digests."""
    incident = work.incident
    quiet = incident.mode is Mode.DRY_RUN or incident.signal.severity not in PAGES or incident.clear_since is not None
    quiet = quiet or incident.of_a_storm
    told = incident.told_at
    if quiet or told is None or incident.acknowledged_at is not None or incident.tellings >= work.policy.notifications:
        return None
    return max(timedelta(0), told + work.policy.repeat_after - work.now)


def next_word(work: Work, rest: timedelta) -> Change | None:
    """What is to be said now to people who were told before; None where there is nothing."""
    incident = work.incident
    if incident.acknowledged_at is not None and not incident.acknowledgement_told:
        by = f"{incident.acknowledged_by} has taken it"
        return work.wait(rest, acknowledgement_told=True).with_(messages=telling.taken(work, by))
    if due_in(work) != timedelta(0):
        return None
    since = incident.escalated_at or work.now
    minutes = round((work.now - since).total_seconds() / 60)
    reason = f"nobody has acknowledged this for {minutes} min: {incident.reason}"
    messages = telling.again(work, reason)
    told = Event(kind="repeated", text=reason, data={"channels": [message.channel for message in messages]})
    counted = {"told_at": work.now, "tellings": incident.tellings + 1}
    return work.wait(rest, told if messages else spent(work, reason), **counted).with_(messages=messages)
