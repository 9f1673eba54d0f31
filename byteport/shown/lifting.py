"""Verdicts that decided, and what lifts each: a time that comes by itself, or what somebody has to change. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from byteport.grammar.verdict import Verdict
from byteport.model.base import Json
from byteport.records.event import StoredEvent
from byteport.shown.record import Record
from byteport.shown.times import left, moment
from byteport.shown.verdicts import told_by

Kind = Literal["time", "guard", "confidence", "evidence", "rule", "mode", "approval", "problem", "nothing"]
SAYS_NO = frozenset({"verdict", "outcome", "held"})
GOES_ON = frozenset({"diagnosis", "locks", "intent", "attempt", "outcome", "approval"})
OVER = frozenset({"resolved", "recovered", "handed_over"})


@dataclass(frozen=True)
class Change:
    """One thing that would have to be otherwise, in a sentence. `frees_at`: when it is so by itself, and how long that
    is from now. Of the kind `nothing` it says why no change would have done."""

    kind: Kind
    text: str
    guard: str = ""
    frees_at: datetime | None = None
    seconds_left: float | None = field(default=None, compare=False)

    def as_json(self) -> Json:
        at = self.frees_at.isoformat() if self.frees_at is not None else None
        return {
            "kind": self.kind,
            "text": self.text,
            "guard": self.guard,
            "frees_at": at,
            "seconds_left": self.seconds_left,
        }


def refusals_of(record: Record) -> tuple[Verdict, ...]:
    """The refusals that the incident stands or ended on; none where it went on after them."""
    incident = record.incident
    if incident.ending == "rehearsed":
        return _each_once(v for event in record.events if event.kind == "rehearsal" for v in _refused(event))
    if incident.ending in OVER:
        return ()
    for event in reversed(record.events):
        if event.kind in SAYS_NO and (refused := _refused(event)):
            return _each_once(refused)
        if event.kind in GOES_ON and event.data.get("direction") != "undo":
            return ()
    return ()


def _refused(event: StoredEvent) -> list[Verdict]:
    """Without the floor: what was missing for it is told by the diagnosis itself."""
    return [v for v in (line.verdict for line in told_by(event)) if not v.allowed and v.guard != "confidence_floor"]


def _each_once(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    return tuple({(verdict.guard, verdict.counter): verdict for verdict in verdicts}.values())


def lifted(verdict: Verdict, now: datetime, incident: str) -> Change:
    """What lifts one refusal."""
    if verdict.frees_at is not None:
        return _by_itself(verdict, verdict.frees_at, now)
    if verdict.lifts:
        return Change("guard", f"may act {verdict.lifts}", verdict.guard)
    used = f"{verdict.current} of {verdict.limit}"
    if verdict.counter.endswith(f":{incident}"):
        text = f"nothing: this incident has used up {verdict.guard} ({used}); only another one counts anew"
        return Change("nothing", text, verdict.guard)
    if verdict.counter:
        text = f"may act once {verdict.counter} is reset (byteport guards reset), it counts for ever: {used} used"
        return Change("guard", text, verdict.guard)
    if verdict.kind == "forbidden":
        return Change("nothing", f"nothing: {verdict.guard} forbids it ({verdict.reason})", verdict.guard)
    return Change("guard", f"would have acted had {verdict.guard} allowed it: {verdict.reason}", verdict.guard)


def _by_itself(verdict: Verdict, at: datetime, now: datetime) -> Change:
    wait = max(at - now, timedelta(0))
    if not wait:
        text = f"may act now: {verdict.guard} stood in the way until {moment(at)}"
    else:
        used = f", {verdict.current} of {verdict.limit} used" if verdict.counter else ""
        text = f"may act again in {left(wait)}, {verdict.lifts or f'when {verdict.guard} frees'} at {moment(at)}{used}"
    return Change("time", text, verdict.guard, at, wait.total_seconds())
