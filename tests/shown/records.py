"""Records as the ledger would hand them out, made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from byteport.grammar.diagnosis import Considered, Diagnosis
from byteport.grammar.evidence import Failure
from byteport.grammar.plan import Plan
from byteport.grammar.verdict import Verdict
from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.event import StoredEvent
from byteport.records.evidence import StoredAnswer
from byteport.records.incident import Incident, Phase
from byteport.shown.nearest import nearest
from byteport.shown.outlook import Outlook
from byteport.shown.record import Record
from tests.ward import pages

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
OUTLOOK = Outlook(now=NOW)
LEAK = Considered(name="leak", held=True, because="The valve leaks", confidence=90, reads=("valve",), disposition="act")
PERSON = LEAK.with_(name="broken", disposition="escalate")
PLAN = Plan(steps=(pages.PULSE(name="v1"),))
OTHERWISE = Considered(name="unknown", held=True, because="no other class holds", disposition="escalate")


def incident(**changes: Any) -> Incident:
    given = {
        "id": "inc-1", "runbook": "ward_one", "page": "p", "phase": Phase.ESCALATE, "mode": Mode.LIVE, "due_at": NOW,
        "opened_at": NOW, "escalated_at": NOW, "diagnosis": diagnosis(), "plan": PLAN,
        "signal": Signal(
            name="ward_one", source="test", fired_at=NOW, severity=Severity.WARNING,
            target=Target(kind=TargetKind.SERVICE, key="v1"),
        ),
    }  # fmt: skip
    return Incident(**{**given, **changes})


def diagnosis(*considered: Considered, **changes: Any) -> Diagnosis:
    """Of the first rule that held, whole."""
    lines = considered or (LEAK,)
    won = next((line for line in lines if line.held), lines[-1])
    given = {
        "name": won.name, "disposition": won.disposition or "act", "confidence": won.confidence or 0,
        "because": won.because, "considered": lines, "reads": won.reads,
    }  # fmt: skip
    return Diagnosis(**{**given, **changes})


def event(kind: str, seq: int = 1, text: str = "", **data: Any) -> StoredEvent:
    return StoredEvent(kind=kind, text=text, data=data, incident="inc-1", seq=seq, at=NOW, previous="", hash="")


def refusal(*verdicts: Verdict, seq: int = 9, kind: str = "verdict") -> StoredEvent:
    return event(kind, seq, move="pulse", verdicts=[verdict.model_dump(mode="json") for verdict in verdicts])


def no(guard: str = "wide", **changes: Any) -> Verdict:
    return Verdict(**{"guard": guard, "kind": "rate_limit", "allowed": False, "reason": "no", **changes})


def answer(field: str, failure: str = "", **fact: Any) -> StoredAnswer:
    lost = Failure(kind="unreachable", text=failure) if failure else None
    return StoredAnswer(field=field, fact=None if lost else fact, failure=lost, round=1, taken_at=NOW)


def in_seconds(n: float) -> datetime:
    return NOW + timedelta(seconds=n)


def record(*events: StoredEvent, answers: tuple[StoredAnswer, ...] = (), **changes: Any) -> Record:
    return Record(incident(**changes), events=events, answers=answers)


def texts(found: Record, **outlook: Any) -> list[str]:
    """What is said of the record."""
    return [change.text for change in nearest(found, replace(OUTLOOK, **outlook))]


def text(found: Record, **outlook: Any) -> str:
    """The only sentence."""
    (only,) = texts(found, **outlook)
    return only
