"""What is asked of error tracking and metrics about an application, and what the ledger remembers of it.

All raise Transient (`retry_after` under a rate limit), Denied (naming the right) or Permanent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from byteport.model.facts.application import (
    ErrorIssue,
    EventRate,
    PastDiagnosis,
    Releases,
    StackTrace,
    Upstreams,
    WorkloadScale,
)
from byteport.model.facts.services import Restart


class ErrorTracking(Protocol):
    """Issues of one organisation, by their ids. Of people only numbers are read."""

    @property
    def org(self) -> str: ...
    def issue(self, issue: str) -> ErrorIssue: ...
    def latest_event(self, issue: str) -> StackTrace: ...
    def event_rate(self, issue: str, window: timedelta) -> EventRate:
        """`window` in whole minutes."""
        ...

    def releases(self, project: str, environment: str) -> Releases:
        """Permanent where it cannot be told which release runs."""
        ...


class ApplicationMetrics(Protocol):
    """None where no metrics are configured."""

    def upstreams(self, breakers: str, latencies: str) -> Upstreams | None:
        """Both are PromQL: the open breakers, and seconds by upstream; an empty one is not asked."""
        ...

    def scale(self, workload: str) -> WorkloadScale | None:
        """`workload` is cluster/namespace/deployment; None also where the metrics do not know of it."""
        ...

    def filling(self, host: str, mount: str) -> float | None:
        """By how many bytes a second the mount has filled over the last five minutes, as node_exporter saw it."""
        ...


class PastDiagnoses(Protocol):
    """What earlier incidents found out."""

    def diagnosed(self, runbook: str, name: str, within: str, since: timedelta) -> tuple[PastDiagnosis, ...]:
        """Incidents of that runbook whose diagnosis was `name`, on the thing `within` (kind:key) or a part of it."""
        ...

    def restarts_of(self, host: str, unit: str, since: timedelta) -> tuple[Restart, ...]:
        """The restarts of a host's service that BytePort has begun, the newest first."""
        ...
