"""Prometheus, asked: its own firing alerts, and rules of people's own. What it no longer returns has ended.

What was told lives in the process that asks; after a restart what still fires is told again, and what ended meanwhile
is not told as ended: an incident that rests with people waits for them, and a plan looks again before it acts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from byteport.model.alert import Alert, severity_of
from byteport.model.facts.prometheus import FiringAlert, Sample
from byteport.model.signal import Severity
from byteport.sources.conditions import Seen, compared, telling
from byteport.sources.incoming import Heard, attempt, id_of, text
from byteport.sources.parts import each

SOURCE = "prometheus"


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


ALERTS = PromqlRule("", "")  # stands for the server's own alerts among the rules


@dataclass
class PrometheusPoller:
    """One server. `memory` is what fired at the last look, by the rule's name (empty: its own alerts) and the
    condition's identity."""

    prometheus: PrometheusReading
    name: str
    period: timedelta
    timeout: timedelta
    with_alerts: bool = True
    rules: Sequence[PromqlRule] = ()
    memory: dict[str, dict[str, Seen]] = field(default_factory=dict)

    def ask(self, now: datetime) -> Sequence[Heard]:
        """A rule that cannot be read keeps none of the others from being told, and clears none of its own."""
        parts = [*([ALERTS] if self.with_alerts else []), *self.rules]
        asked = each(parts, lambda part: self._read(part, now))
        told: list[Heard] = []
        for part, heard in asked.answers:
            told += self._of_part(part, heard, now)
        return [*told, *asked.told(lambda part: f"rule {part.name}" if part is not ALERTS else "alerts")]

    def _read(self, part: PromqlRule, now: datetime) -> list[Heard]:
        if part is ALERTS:
            heard = [attempt(lambda one=one: _of_alert(one, now)) for one in self.prometheus.alerts()]  # type: ignore[misc]
        else:
            found = self.prometheus.query(part.expr)
            heard = [attempt(lambda one=one: _of_rule(part, one, now)) for one in found]  # type: ignore[misc]
        return [one for one in heard if one is not None]

    def _of_part(self, part: PromqlRule, heard: Sequence[Heard], now: datetime) -> list[Heard]:
        firing = {one.condition: one for one in heard if isinstance(one, Alert)}
        waits = dict.fromkeys(firing, part.sustained)
        self.memory[part.name], told = compared(self.memory.get(part.name, {}), firing, waits, now)
        return [*told, *(one for one in heard if not isinstance(one, Alert))]


def _of_alert(told: FiringAlert, now: datetime) -> Alert:
    labels = {name: value for name, value in told.labels.items() if name != "alertname"}
    name, severity = told.labels.get("alertname", "alert"), severity_of(told.labels.get("severity"))
    words = told.annotations.get("summary") or told.annotations.get("description", "")
    return _alert(name, labels, severity, words, told.value, now)


def _of_rule(rule: PromqlRule, sample: Sample, now: datetime) -> Alert:
    labels = {**{name: value for name, value in sample.labels.items() if name != "__name__"}, **rule.labels}
    return _alert(rule.name, labels, rule.severity, rule.summary or rule.expr, sample.value, now)


def _alert(
    name: str,
    labels: dict[str, str],
    severity: Severity,
    summary: str,
    value: float | None,
    now: datetime,
) -> Alert:
    """Dated by the look: when it began (`activeAt`) may lie before the end that was last told of the same condition."""
    condition = id_of(name, sorted(labels.items()))
    return Alert(
        source=SOURCE, name=name, fired_at=now, severity=severity, summary=text(summary), value=value, labels=labels,
        condition=condition, event_id=telling(condition, now),
    )  # fmt: skip
