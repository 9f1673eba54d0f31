"""Every verdict of an incident, wherever it was written down: refusals, rehearsals, lock conflicts, intents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from byteport.grammar.verdict import Verdict
from byteport.records.event import StoredEvent
from byteport.records.intent import Intent
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
    granted = {(intent.move, line.verdict.guard) for intent in record.intents for line in _granted(intent)}
    told = [line for event in record.events for line in told_by(event)]
    lines = [line for line in told if not _says_less(line, granted)]
    known = {(line.move, line.verdict.guard, line.verdict.reason) for line in lines}
    for intent in record.intents:
        lines += _granted(intent)
        if isinstance(intent.outcome, Refused):
            lines += [
                VerdictLine(verdict, intent.move, intent.opened_at)
                for verdict in intent.outcome.verdicts
                if (intent.move, verdict.guard, verdict.reason) not in known
            ]
    return lines


def _says_less(line: VerdictLine, granted: set[tuple[str, str]]) -> bool:
    """A budget's own check allows before it is counted; what was granted says the same with figures."""
    return line.verdict.allowed and not line.rehearsed and (line.move, line.verdict.guard) in granted


def _granted(intent: Intent) -> Iterator[VerdictLine]:
    """What an intent was granted of each budget, as the ledger counted it when the intent was opened."""
    begun = intent.begun_at or intent.opened_at
    for claim in () if isinstance(intent.outcome, Refused) else intent.claims:
        per = f" in {claim.window_seconds:g} s" if claim.window_seconds else ""
        verdict = Verdict(
            guard=claim.guard,
            kind=claim.kind,
            allowed=True,
            reason=f"granted {claim.amount} of at most {claim.limit}{per} on {claim.key}",
            limit=str(claim.limit),
            current=str(claim.amount),
            frees_at=begun + timedelta(seconds=claim.window_seconds) if claim.window_seconds else None,
            on_hit=claim.on_hit,
        )
        yield VerdictLine(verdict, intent.move, intent.opened_at)


def told_by(event: StoredEvent) -> Iterator[VerdictLine]:
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
