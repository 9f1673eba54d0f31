"""Prometheus, asked: its own firing alerts, and rules of people's own. What it no longer returns has ended.

What was told stands in the poller's row of the ledger. For how long a series has been over is Prometheus' own memory:
it is asked for it when the series is new, or was not looked at for a while: a silence of ours begins no time anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import Field

from byteport.errors import BytePortError
from byteport.model.alert import Alert, severity_of
from byteport.model.base import Value
from byteport.model.facts.prometheus import Firing, FiringAlert, Run, Sample, Vector
from byteport.model.signal import Severity
from byteport.sources.conditions import Seen, bounded, compared, telling
from byteport.sources.incoming import Heard, Malformed, attempt, id_of, text
from byteport.sources.parts import each
from byteport.sources.polling import Looked, recalled

SOURCE = "prometheus"
GAPS_TOLERATED = 2.5  # periods between two looks that still count as one row of them
STEPS, LEAST_STEP = 60, 5.0  # how finely Prometheus' memory is asked for, in steps of a rule's time and in seconds


class PrometheusReading(Protocol):
    """Raises Transient or Permanent."""

    def firing(self) -> Firing: ...
    def vector(self, expression: str, at: datetime | None = None) -> Vector: ...
    def query_range(self, expression: str, since: datetime, until: datetime, step: timedelta) -> Sequence[Run]: ...


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
    """What was heard of one part, why that may not be all, and since when conditions hold that were not known."""

    heard: Sequence[Heard]
    warnings: Sequence[str]
    since: Mapping[str, datetime] = field(default_factory=dict)


ALERTS = PromqlRule("", "")  # stands for the server's own alerts among the rules


class Memory(Value):
    """What fired at the last look, by the rule's name (empty: the server's own alerts) and the condition's identity."""

    seen: dict[str, dict[str, Seen]] = Field(default_factory=dict)


@dataclass(frozen=True)
class PrometheusPoller:
    """One server."""

    prometheus: PrometheusReading
    name: str
    period: timedelta
    timeout: timedelta
    with_alerts: bool = True
    rules: Sequence[PromqlRule] = ()

    def look(self, now: datetime, memory: Mapping[str, Any]) -> Looked:
        """A rule that cannot be read keeps none of the others from being told, and clears none of its own."""
        parts = [*([ALERTS] if self.with_alerts else []), *self.rules]
        known = recalled(Memory, memory).seen
        known = {part.name: known.get(part.name, {}) for part in parts}
        asked = each(parts, lambda part: self._read(part, known[part.name], now))
        told: list[Heard] = []
        for part, read in asked.answers:
            known[part.name], heard = _of_part(part, read, known[part.name], now)
            told += heard
        return Looked([*told, *asked.told(_name)], Memory(seen=bounded(known)).model_dump(mode="json"))

    def _read(self, part: PromqlRule, known: Mapping[str, Seen], now: datetime) -> Read:
        if part is ALERTS:
            firing = self.prometheus.firing()
            heard = [attempt(lambda one=one: _of_alert(one, now)) for one in firing.alerts]  # type: ignore[misc]
            return Read([one for one in heard if one is not None], firing.warnings)
        found = self.prometheus.vector(part.expr)
        heard = [attempt(lambda one=one: _of_rule(part, one, now)) for one in found.samples]  # type: ignore[misc]
        told = [one for one in heard if one is not None]
        return Read(told, found.warnings, self._since(part, told, known, now))

    def _since(
        self, rule: PromqlRule, heard: Sequence[Heard], known: Mapping[str, Seen], now: datetime
    ) -> Mapping[str, datetime]:
        """By Prometheus' memory, of what must last and is new here, or was not looked at for a while."""
        told = [one.condition for one in heard if isinstance(one, Alert)]
        new = [one for one in told if one not in known or known[one].is_stale(now, GAPS_TOLERATED * self.period)]
        if not rule.sustained or not new:
            return {}
        window, step = timedelta(seconds=rule.sustained), timedelta(seconds=max(rule.sustained / STEPS, LEAST_STEP))
        try:
            runs = self.prometheus.query_range(rule.expr, now - window - step, now, step)
        except BytePortError:  # then it begins now, as if nobody remembered
            runs = ()
        held = {_condition(rule.name, _labels(rule, run.labels)): held_since(run, step, now) for run in runs}
        return {condition: held.get(condition, now) for condition in new}


def _of_part(
    part: PromqlRule, read: Read, before: Mapping[str, Seen], now: datetime
) -> tuple[dict[str, Seen], list[Heard]]:
    """What is missing in an answer that is not whole has not ended."""
    firing = {one.condition: one for one in read.heard if isinstance(one, Alert)}
    waits = dict.fromkeys(firing, part.sustained)
    after, told = compared(before, firing, waits, now, () if read.warnings else None, read.since)
    partly = [Malformed(_name(part), f"a whole answer ({'; '.join(read.warnings)[:300]})")] if read.warnings else []
    return after, [*told, *(one for one in read.heard if not isinstance(one, Alert)), *partly]


def held_since(run: Run, step: timedelta, now: datetime) -> datetime:
    """Since when there was no step without the series; now, where the last one is missing. Pure."""
    since = now
    for at, _ in reversed(run.points):
        if since - at > 1.5 * step:
            break
        since = at
    return since


def _name(part: PromqlRule) -> str:
    return "alerts" if part is ALERTS else f"rule {part.name}"


def _of_alert(told: FiringAlert, now: datetime) -> Alert:
    labels = {name: value for name, value in told.labels.items() if name != "alertname"}
    name, severity = told.labels.get("alertname", "alert"), severity_of(told.labels.get("severity"))
    words = told.annotations.get("summary") or told.annotations.get("description", "")
    return _alert(name, labels, severity, words, told.value, now)


def _labels(rule: PromqlRule, told: Mapping[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in told.items() if name != "__name__"}, **rule.labels}


def _condition(name: str, labels: Mapping[str, str]) -> str:
    return id_of(name, sorted(labels.items()))


def _of_rule(rule: PromqlRule, sample: Sample, now: datetime) -> Alert:
    return _alert(rule.name, _labels(rule, sample.labels), rule.severity, rule.summary or rule.expr, sample.value, now)


def _alert(
    name: str,
    labels: dict[str, str],
    severity: Severity,
    summary: str,
    value: float | None,
    now: datetime,
) -> Alert:
    """Dated by the look: when it began (`activeAt`) may lie before the end that was last told of the same condition."""
    condition = _condition(name, labels)
    return Alert(
        source=SOURCE, name=name, fired_at=now, severity=severity, summary=text(summary), value=value, labels=labels,
        condition=condition, event_id=telling(condition, now),
    )  # fmt: skip
