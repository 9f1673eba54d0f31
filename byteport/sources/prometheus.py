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
from byteport.model.facts.prometheus import Firing, FiringAlert, Sample, Vector
from byteport.model.signal import Severity
from byteport.sources.conditions import Seen, compared, telling
from byteport.sources.incoming import Heard, Malformed, attempt, id_of, text
from byteport.sources.parts import each

SOURCE = "prometheus"


class PrometheusReading(Protocol):
    """Raises Transient or Permanent."""

    def firing(self) -> Firing: ...
    def vector(self, expression: str, at: datetime | None = None) -> Vector: ...


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
class Read:
    """What was heard of one part, and why that may not be all."""

    heard: Sequence[Heard]
    warnings: Sequence[str]


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
        for part, read in asked.answers:
            told += self._of_part(part, read, now)
        return [*told, *asked.told(_name)]

    def _read(self, part: PromqlRule, now: datetime) -> Read:
        if part is ALERTS:
            firing = self.prometheus.firing()
            heard = [attempt(lambda one=one: _of_alert(one, now)) for one in firing.alerts]  # type: ignore[misc]
            return Read([one for one in heard if one is not None], firing.warnings)
        found = self.prometheus.vector(part.expr)
        heard = [attempt(lambda one=one: _of_rule(part, one, now)) for one in found.samples]  # type: ignore[misc]
        return Read([one for one in heard if one is not None], found.warnings)

    def _of_part(self, part: PromqlRule, read: Read, now: datetime) -> list[Heard]:
        """What is missing in an answer that is not whole has not ended."""
        firing = {one.condition: one for one in read.heard if isinstance(one, Alert)}
        before, waits = self.memory.get(part.name, {}), dict.fromkeys(firing, part.sustained)
        self.memory[part.name], told = compared(before, firing, waits, now, () if read.warnings else None)
        partly = [Malformed(_name(part), f"a whole answer ({'; '.join(read.warnings)[:300]})")] if read.warnings else []
        return [*told, *(one for one in read.heard if not isinstance(one, Alert)), *partly]


def _name(part: PromqlRule) -> str:
    return "alerts" if part is ALERTS else f"rule {part.name}"


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
