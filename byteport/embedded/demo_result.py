"""How the demo went, as one value; read from the ledger and from the patient itself, never from what was planned."""

from __future__ import annotations

from datetime import datetime

from byteport.model.base import Value
from byteport.records.event import StoredEvent
from byteport.records.incident import Incident, Phase
from byteport.records.intent import Intent
from byteport.records.outcome import Done


class Result(Value):
    """`utilization_*` are fractions that the patient told; seconds are None where it did not come so far.

    `seconds_to_detect` counts from when the poller began to watch, the two others from the signal.
    """

    outcome: str
    classification: str | None
    confidence: float | None
    terminated: int
    cancelled: int
    utilization_before: float
    utilization_after: float
    seconds_to_detect: float | None
    seconds_to_act: float | None
    seconds_to_resolve: float | None
    escalations: int


def nothing_happened(utilization: float) -> Result:
    """The demo ended before an incident began."""
    return Result(
        outcome="not_detected", classification=None, confidence=None, terminated=0, cancelled=0,
        utilization_before=utilization, utilization_after=utilization, seconds_to_detect=None, seconds_to_act=None,
        seconds_to_resolve=None, escalations=0,
    )  # fmt: skip


def result_of(
    incident: Incident,
    intents: list[Intent],
    events: list[StoredEvent],
    watched_since: datetime,
    before: float,
    after: float,
) -> Result:
    """What became of the incident."""
    diagnosis, closed = incident.diagnosis, incident.closed_at if incident.phase is Phase.CLOSED else None
    return Result(
        outcome=incident.word,
        classification=diagnosis.name if diagnosis else None,
        confidence=round(diagnosis.confidence / 100, 2) if diagnosis and diagnosis.confidence is not None else None,
        terminated=_count(intents, cancels=False),
        cancelled=_count(intents, cancels=True),
        utilization_before=round(before, 4),
        utilization_after=round(after, 4),
        seconds_to_detect=_seconds(watched_since, incident.opened_at),
        seconds_to_act=_seconds(incident.opened_at, incident.acted_at),
        seconds_to_resolve=_seconds(incident.opened_at, closed) if incident.word == "resolved" else None,
        escalations=sum(event.kind == "escalation" for event in events),
    )


def _count(intents: list[Intent], *, cancels: bool) -> int:
    """Sessions ended, or statements cancelled, as the target answered."""
    done = [intent for intent in intents if isinstance(intent.outcome, Done) and intent.outcome.ours and intent.effect]
    return sum(i.effect.count for i in done if i.effect is not None and ("cancel" in i.move) is cancels)


def _seconds(since: datetime, until: datetime | None) -> float | None:
    return round((until - since).total_seconds(), 1) if until is not None else None
