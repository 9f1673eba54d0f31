"""What Sentry tells of an application's errors, in our words. Of people only numbers."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, Field

from byteport.model.base import Value


class ErrorIssue(Value):
    """An issue: errors that Sentry takes for one. `substatus` is its own word (new, regressed, ongoing, escalating);
    `began_release` the one it was seen in first, or came back with; empty where Sentry does not say."""

    id: str
    short_id: str = ""
    title: str = ""
    culprit: str = ""
    level: str = ""
    project: str = ""
    permalink: str = ""
    status: str = ""
    substatus: str = ""
    event_count: int = 0
    affected_users: int = 0
    first_seen: AwareDatetime | None = None
    last_seen: AwareDatetime | None = None
    regressed_at: AwareDatetime | None = None
    began_release: str = ""

    @property
    def began_at(self) -> datetime | None:
        """When it was seen first, or came back after it had been resolved."""
        return max((at for at in (self.first_seen, self.regressed_at) if at is not None), default=None)


class Bucket(Value):
    """Events counted in some seconds from `at` on."""

    at: AwareDatetime
    count: int


class ErrorRates(Value):
    """An issue's events over 24 h, in equal buckets, the oldest first."""

    seconds: int
    buckets: tuple[Bucket, ...] = Field(default=())


class EventRate(Value):
    """Events in the last `seconds`, and the issue's usual rate: its mean a minute over 24 h, at least 1."""

    events: int
    seconds: int
    baseline: float

    @property
    def per_minute(self) -> float:
        return self.events * 60 / self.seconds


class ErrorException(Value):
    """One of a chain of exceptions; `frames` as module:function, where it was raised first. No variables."""

    type: str = ""
    value: str = ""
    frames: tuple[str, ...] = ()


class StackTrace(Value):
    """An issue's latest event; the exceptions as their cause goes. Texts are clipped, without literals and secrets."""

    event: str
    at: AwareDatetime | None = None
    release: str = ""
    environment: str = ""
    message: str = ""
    exceptions: tuple[ErrorException, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What it says, one line for each exception, the message last."""
        told = [f"{one.type}: {one.value}" for one in self.exceptions]
        return tuple(line for line in (*told, self.message) if line.strip(": "))


class DeployMark(Value):
    """That a release went to an environment, as somebody told Sentry."""

    release: str
    environment: str
    commit: str = ""
    started: AwareDatetime | None = None
    finished: AwareDatetime

    @property
    def began(self) -> datetime:
        """From then on its errors may come."""
        return self.started or self.finished


class Releases(Value):
    """`running` is what was deployed last to the environment; None where Sentry knows of no deploy there."""

    environment: str
    running: DeployMark | None = None
    previous: DeployMark | None = None


class Breaker(Value):
    """A circuit breaker that is open."""

    upstream: str
    state: str


class UpstreamLatency(Value):
    upstream: str
    seconds: float


class Upstreams(Value):
    """The services behind the application, as metrics have them; the slowest first."""

    open_breakers: tuple[Breaker, ...] = ()
    latencies: tuple[UpstreamLatency, ...] = ()


class WorkloadScale(Value):
    """Replicas of a Deployment as they are wanted now, and how far its HPA may go; None: it has none."""

    workload: str
    replicas: int
    hpa_maximum: int | None = None


class PastDiagnosis(Value):
    """What an earlier incident found out about a target."""

    incident: str
    runbook: str
    target: str
    name: str
    at: AwareDatetime
