"""What a source said, before it is mapped to a signal and a target."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from byteport.model.base import Value
from byteport.model.signal import Severity
from byteport.model.target import Key, Text

SEVERITIES = {
    "critical": Severity.CRITICAL, "page": Severity.CRITICAL, "fatal": Severity.CRITICAL, "p1": Severity.CRITICAL,
    "high": Severity.HIGH, "error": Severity.HIGH, "major": Severity.HIGH, "p2": Severity.HIGH,
    "warning": Severity.WARNING, "warn": Severity.WARNING, "minor": Severity.WARNING, "p3": Severity.WARNING,
    "info": Severity.INFO, "none": Severity.INFO, "low": Severity.INFO, "p4": Severity.INFO, "p5": Severity.INFO,
}  # fmt: skip


def severity_of(word: object, otherwise: Severity = Severity.WARNING) -> Severity:
    """The severity that a source's own word means."""
    return SEVERITIES.get(str(word or "").strip().lower(), otherwise)


class Alert(Value):
    """One thing that a source told, in its own words. Routes read `source`, `name` and `labels`.

    `event_id` is the source's own identity of this telling: the same one twice is one. It may change while an alert
    goes on firing, so that one which outlives its incident is heard again. `condition` stays the same from its first
    telling to its end (a fingerprint), where the source has such a thing. A resolved one is dated by its end.
    """

    source: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    name: Key
    fired_at: AwareDatetime
    resolved: bool = False
    severity: Severity = Severity.WARNING
    summary: Text = ""
    value: float | None = None
    labels: dict[Key, Text] = Field(default_factory=dict, max_length=64)
    event_id: Annotated[str, StringConstraints(max_length=256)] = ""
    condition: Annotated[str, StringConstraints(max_length=256)] = ""
    raw: dict[str, Any] = Field(default_factory=dict)
