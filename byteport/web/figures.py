"""The ledger's counts, as metrics and as what intake looks at; asked for at most every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from byteport.errors import Transient
from byteport.records.figures import Figures
from byteport.records.incident import Phase

FRESH = 5.0


@dataclass
class Counted:
    """Remembers the last counts, so that a flood of signals does not become a flood of counting."""

    ask: Callable[[], Figures]
    clock: Callable[[], float] = monotonic
    turn: threading.Lock = field(default_factory=threading.Lock)
    known: tuple[float, Figures] | None = None

    def recent(self) -> Figures:
        """At most five seconds old. Raises Unavailable."""
        with self.turn:
            if self.known is None or self.clock() - self.known[0] > FRESH:
                self.known = (self.clock(), self.ask())
            return self.known[1]


@dataclass(frozen=True)
class Heeded:
    """What became of the alerts that this process was sent."""

    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=False))
    alerts: Counter = field(init=False)

    def __post_init__(self) -> None:
        about = "Alerts that came over HTTP, by what became of them"
        made = Counter("byteport_alerts", about, ["source", "became"], registry=self.registry)
        object.__setattr__(self, "alerts", made)

    def count(self, source: str, became: str, number: int = 1) -> None:
        self.alerts.labels(source, became).inc(number)


@dataclass(frozen=True)
class Metrics(Collector):
    """Read off the ledger when somebody scrapes; `byteport_ledger_up` says whether that was possible."""

    ask: Callable[[], Figures]
    heeded: Heeded = field(default_factory=Heeded)

    def text(self) -> bytes:
        """Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry) + generate_latest(self.heeded.registry)

    def collect(self) -> Iterator[Metric]:
        try:
            told: Figures | None = self.ask()
        except Transient:
            told = None
        yield _gauge("byteport_ledger_up", "1 while the ledger answers", 0 if told is None else 1)
        if told is not None:
            yield from _families(told)


def _families(told: Figures) -> Iterator[Metric]:
    phases = GaugeMetricFamily("byteport_incidents", "Open incidents by phase", labels=["phase"])
    for phase in Phase:
        if phase is not Phase.CLOSED:
            phases.add_metric([str(phase)], told.by_phase.get(str(phase), 0))
    yield phases
    endings = GaugeMetricFamily("byteport_incidents_kept", "Closed incidents still kept, by ending", labels=["ending"])
    for ending, number in sorted(told.by_ending.items()):
        endings.add_metric([ending], number)
    yield endings
    yield _gauge(
        "byteport_due_lag_seconds", "Longest time that something due has waited for a worker", told.due_lag_seconds
    )
    yield _gauge("byteport_incidents_overdue", "Incidents due for over a minute and in nobody's hands", told.overdue)
    yield _gauge("byteport_deliveries_due", "Messages that should have left by now", told.deliveries_due)
    yield _gauge("byteport_deliveries_failed", "Messages that were given up", told.deliveries_failed)
    yield _gauge("byteport_pauses", "Pauses that hold now", told.pauses)
    successes = GaugeMetricFamily(
        "byteport_poller_last_success", "Unix time when a poller last heard an answer; 0: never", labels=["poller"]
    )
    for poller, at in sorted(told.pollers.items()):
        successes.add_metric([poller], at or 0)
    yield successes
    if told.polled_seconds_ago is not None:
        yield _gauge(
            "byteport_last_poll_seconds", "Seconds since a poller last saw a database", told.polled_seconds_ago
        )


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)
