"""Every verdict of an incident, wherever it was written down: refusals, rehearsals, lock conflicts, settled intents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from byteport.grammar.verdict import Verdict
from byteport.records.event import StoredEvent
from byteport.records.outcome import Refused
from byteport.shown.record import Record


@dataclass(frozen=True)
class VerdictLine:
    """One guard's answer, with the move it was asked for and the moment."""

    verdict: Verdict
    move: str
    at: datetime | None
    rehearsed: bool = False


def verdicts_of(record: Record) -> list[VerdictLine]:
    """In the order of the journal, each once; those that stand only with a settled intent come last."""
    lines = [line for event in record.events for line in _told(event)]
    known = {(line.move, line.verdict.guard, line.verdict.reason) for line in lines}
    for intent in record.intents:
        if isinstance(intent.outcome, Refused):
            lines += [
                VerdictLine(verdict, intent.move, intent.opened_at)
                for verdict in intent.outcome.verdicts
                if (intent.move, verdict.guard, verdict.reason) not in known
            ]
    return lines


def _told(event: StoredEvent) -> Iterator[VerdictLine]:
    """Refusals and rehearsals carry all verdicts of one move; a lock conflict is a single verdict."""
    told = event.data.get("verdicts")
    found = told if isinstance(told, list) else [event.data] if "guard" in event.data else []
    blocking = event.data.get("blocking")
    if isinstance(blocking, dict) and blocking not in found:
        found = [*found, blocking]
    for one in found:
        if (verdict := _verdict(one)) is not None:
            move = str(event.data.get("move") or "")
            yield VerdictLine(verdict, move, event.at, rehearsed=event.kind == "rehearsal")


def _verdict(told: object) -> Verdict | None:
    try:
        return Verdict.model_validate(told)
    except ValidationError:
        return None  # a line of an older journal; it still stands in the timeline
