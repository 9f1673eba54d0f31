"""Prometheus, asked: its own firing alerts, and rules of people's own. What it no longer returns has ended.

What was told lives in the process that asks; after a restart what still fires is told again, and what ended meanwhile
is not told as ended: an incident that rests with people waits for them, and a plan looks again before it acts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from byteport.model.alert import Alert, severity_of
from byteport.model.facts.prometheus import FiringAlert, Sample
from byteport.model.signal import Severity
from byteport.sources.incoming import Heard, attempt, id_of, text

SOURCE = "prometheus"
AGAIN_SECONDS = 300


class PrometheusReading(Protocol):
    """Raises Transient or Permanent."""

    def alerts(self) -> Sequence[FiringAlert]: ...
    def query(self, expression: str, at: datetime | None = None) -> Sequence[Sample]: ...


@dataclass(frozen=True)
class PromqlRule:
    """Every series that `expr` returns for `sustained` seconds is an alert of that name."""

    name: str
    expr: str
    sustained: float = 0.0
    severity: Severity = Severity.WARNING
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class Seen:
    """A series of a rule, or an alert, as it is remembered between two looks."""

    alert: Alert
    since: datetime
    told: bool = False


@dataclass
class PrometheusPoller:
    """One server. `memory` is what fired at the last look, by the condition's identity."""

    prometheus: PrometheusReading
    name: str
    period: timedelta
    timeout: timedelta
    with_alerts: bool = True
    rules: Sequence[PromqlRule] = ()
    memory: dict[str, Seen] = field(default_factory=dict)

    def ask(self, now: datetime) -> Sequence[Heard]:
        """Everything is asked before anything is remembered: a look that fails half-way changes nothing."""
        found = [(one, 0.0) for one in (self.prometheus.alerts() if self.with_alerts else ())]
        heard = [attempt(lambda one=one: _of_alert(one, now)) for one, _ in found]  # type: ignore[misc]
        waits: dict[str, float] = {}
        for rule in self.rules:
            for sample in self.prometheus.query(rule.expr):
                made = attempt(lambda rule=rule, sample=sample: _of_rule(rule, sample, now))  # type: ignore[misc]
                heard.append(made)
                if isinstance(made, Alert):
                    waits[made.condition] = rule.sustained
        firing = {one.condition: one for one in heard if isinstance(one, Alert)}
        self.memory, told = compared(self.memory, firing, waits, now)
        return [*told, *(one for one in heard if one is not None and not isinstance(one, Alert))]


def compared(
    before: Mapping[str, Seen], firing: Mapping[str, Alert], waits: Mapping[str, float], now: datetime
) -> tuple[dict[str, Seen], list[Heard]]:
    """What to remember, and what to tell: what has fired for long enough, and what was told and fires no more. Pure."""
    after: dict[str, Seen] = {}
    told: list[Heard] = []
    for condition, alert in firing.items():
        since = before[condition].since if condition in before else now
        due = now - since >= timedelta(seconds=waits.get(condition, 0.0))
        after[condition] = Seen(alert, since, told=due)
        told += [alert] if due else []
    told += list(_ended(before, firing, now))
    return after, told


def _ended(before: Mapping[str, Seen], firing: Mapping[str, Alert], now: datetime) -> Iterator[Alert]:
    for condition, seen in before.items():
        if condition not in firing and seen.told:
            identity = id_of(condition, seen.since.isoformat())
            yield seen.alert.with_(resolved=True, fired_at=now, event_id=identity)


def _of_alert(told: FiringAlert, now: datetime) -> Alert:
    labels = {name: value for name, value in told.labels.items() if name != "alertname"}
    notes = told.annotations
    return _alert(
        told.labels.get("alertname", "alert"), labels, min(told.active_at.astimezone(UTC), now),
        severity_of(told.labels.get("severity")), notes.get("summary") or notes.get("description", ""), told.value, now,
    )  # fmt: skip


def _of_rule(rule: PromqlRule, sample: Sample, now: datetime) -> Alert:
    labels = {**{name: value for name, value in sample.labels.items() if name != "__name__"}, **rule.labels}
    return _alert(rule.name, labels, now, rule.severity, rule.summary or rule.expr, sample.value, now)


def _alert(
    name: str,
    labels: dict[str, str],
    at: datetime,
    severity: Severity,
    summary: str,
    value: float | None,
    now: datetime,
) -> Alert:
    condition = id_of(name, sorted(labels.items()))
    return Alert(
        source=SOURCE, name=name, fired_at=at, severity=severity, summary=text(summary), value=value, labels=labels,
        condition=condition, event_id=f"{condition}/{int(now.timestamp() // AGAIN_SECONDS)}",
    )  # fmt: skip
