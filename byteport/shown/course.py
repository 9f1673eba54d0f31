"""How far an incident has come: the stations of its life with the time at which it reached each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from byteport.records.incident import Phase
from byteport.shown.record import Record

STATIONS: tuple[tuple[str, frozenset[str]], ...] = (
    ("received", frozenset({"open"})),
    ("diagnosing", frozenset({"probe", "classify"})),
    ("planned", frozenset({"plan"})),
    ("remediating", frozenset({"act"})),
    ("verifying", frozenset({"verify"})),
)
GOOD = frozenset({"resolved", "recovered", "rehearsed"})
BAD = frozenset({"escalated", "partially_resolved"})
MOVING = frozenset({"diagnosing", "remediating", "verifying", "received", "closing"})


@dataclass(frozen=True)
class Station:
    """`reached` None: not yet, or passed by."""

    name: str
    reached: datetime | None
    current: bool


def tone_of(word: str) -> str:
    """good, bad, moving, waiting or quiet: the colour of a word; the word itself is always shown too."""
    if word in GOOD:
        return "good"
    if word in BAD:
        return "bad"
    if word in MOVING:
        return "moving"
    return "waiting" if word in ("planned", "awaiting_approval") else "quiet"


def course_of(record: Record) -> list[Station]:
    """The stations in order, and the ending or the escalation as the last."""
    incident = record.incident
    reached = _reached(record)
    word = incident.word
    line = [
        Station(name, next((reached[p] for p in reached if p in phases), None), word == name)
        for name, phases in STATIONS
    ]
    if incident.phase is Phase.CLOSED or incident.ending:
        return [*line, Station(word, incident.closed_at or reached.get("write_up"), current=True)]
    if incident.phase is Phase.ESCALATE:
        return [*line, Station("escalated", incident.escalated_at or reached.get("escalate"), current=True)]
    return [*line, Station("closed", None, current=False)]


def _reached(record: Record) -> dict[str, datetime]:
    """When each phase was first entered, from the journal."""
    reached: dict[str, datetime] = {"open": record.incident.opened_at}
    for event in record.events:
        if event.kind == "phase" and "to" in event.data:
            reached.setdefault(str(event.data["to"]), event.at)
        elif event.kind == "look":
            reached.setdefault("probe", event.at)
    return reached
