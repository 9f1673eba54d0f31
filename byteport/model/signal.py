"""One observation from one source."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from byteport.model.base import Value
from byteport.model.target import Key, Target, Text


class Severity(StrEnum):
    """How bad the source says it is; `rank` orders them."""

    INFO = "info"
    WARNING = "warning"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class Mode(StrEnum):
    """What a runbook may do: only show, ask a person for each plan, or act."""

    DRY_RUN = "dry_run"
    APPROVE = "approve"
    LIVE = "live"


class Signal(Value):
    """What a source saw: `name` is a signal that runbooks claim, `value` its figure where it has one.

    `event_id` is the source's own identity of the event: the same one twice is one signal. `condition` is its identity
    of what is wrong, from the first telling to the end of it: several may be wrong with one target, and it is well only
    when all of them have ended. Empty where the source tells of one matter a target.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    source: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    target: Target
    fired_at: AwareDatetime
    severity: Severity = Severity.WARNING
    summary: Text = ""
    value: float | None = None
    labels: dict[Key, Text] = Field(default_factory=dict, max_length=64)
    event_id: Annotated[str, StringConstraints(max_length=256)] = ""
    condition: Annotated[str, StringConstraints(max_length=256)] = ""
    resolved: bool = False
    raw: dict[str, Any] = Field(default_factory=dict)
