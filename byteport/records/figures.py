"""Counts over all incidents, for metrics, readiness and the backlog's limit. Times on the ledger's clock."""

from __future__ import annotations

from datetime import timedelta

from pydantic import AwareDatetime, Field

from byteport.model.base import Json, Value

LONGEST_MEMORY = 256 * 1024  # bytes of JSON that a poller may remember: its row is written anew at each look


class Figures(Value):
    """`overdue`: due for more than a minute and in nobody's hands; `due_lag_seconds` the longest such wait.

    `polled_seconds_ago` is None where no poller has seen a target yet; `pollers` is each one's last success in unix
    seconds, None where it had none.
    """

    now: AwareDatetime
    by_phase: dict[str, int] = Field(default_factory=dict)
    by_ending: dict[str, int] = Field(default_factory=dict)
    overdue: int = 0
    due_lag_seconds: float = 0.0
    deliveries_due: int = 0
    deliveries_failed: int = 0
    polled_seconds_ago: float | None = None
    pauses: int = 0
    pollers: dict[str, float | None] = Field(default_factory=dict)


class PollerRow(Value):
    """A poller as the ledger has it. `silent_seconds` since it last heard an answer, or was first asked without one;
    `told_at` while people have been told of that."""

    name: str
    period: timedelta
    silent_seconds: float
    error: str = ""
    told_at: AwareDatetime | None = None
    succeeded_at: AwareDatetime | None = None


class Turn(Value):
    """A look that has begun, on the ledger's clock. `since`: when it last heard an answer, or was first asked without
    one. `memory` is what the last look that ended has left, in whichever process."""

    name: str
    at: AwareDatetime
    since: AwareDatetime
    memory: Json = Field(default_factory=dict)


class StormRow(Value):
    """A runbook's storm: its incidents since `began_at`, the first of their targets as kind:key, and how they stand.
    `channels`: where it was told of; `digests`: how often people have heard how it stands; `is_over`: no more of them
    come, `left` of them are open."""

    runbook: str
    began_at: AwareDatetime
    digests: int = 0
    is_over: bool = False
    incidents: int = 0
    closed: int = 0
    waiting: int = 0
    acted: int = 0
    targets: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        return self.incidents - self.closed


def key_of(runbook: str) -> str:
    """The one matter that a runbook's storm is."""
    return f"escalation|{runbook}|storm"
