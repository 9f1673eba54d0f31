"""Figures of a monitoring service, asked and held against thresholds of people's own (Datadog, CloudWatch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import Field

from byteport.model.alert import Alert
from byteport.model.base import Value
from byteport.model.facts.metrics import Figure
from byteport.model.signal import Severity
from byteport.sources.conditions import Seen, bounded, compared, telling
from byteport.sources.incoming import Heard, Malformed, attempt, id_of, text
from byteport.sources.parts import each
from byteport.sources.polling import Looked, recalled


@dataclass(frozen=True)
class MetricRule:
    """`asks` is what the service is asked, in its own words (a query; or namespace, metric and so on). Each series that
    is above, or below, is an alert of that name once its figures of `sustained` seconds are all so, as the service has
    kept them. `steps` are thresholds of which the smallest that the figure has reached from above is told as
    `threshold`."""

    name: str
    asks: Mapping[str, object]
    above: float | None = None
    below: float | None = None
    sustained: float = 0.0
    severity: Severity = Severity.WARNING
    labels: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[float, ...] = ()

    def crossed(self, value: float) -> bool:
        """A figure at the threshold has not crossed it, but for `steps`, which are reached."""
        if self.steps:
            return value <= max(self.steps)
        return (self.above is not None and value > self.above) or (self.below is not None and value < self.below)

    def held_for(self, figure: Figure) -> timedelta:
        """From the first to the newest of the figures that have all been beyond it without one between that was not."""
        since = figure.at
        for at, value in figure.earlier:
            if not self.crossed(value):
                break
            since = at
        return figure.at - since

    def step(self, value: float) -> str:
        return next((f"{step:g}" for step in sorted(self.steps) if value <= step), "")


class MetricReading(Protocol):
    """Raises Transient or Permanent. A series without a figure in the window is left out."""

    def figures(self, asks: Mapping[str, object], now: datetime) -> Sequence[Figure]: ...


class Memory(Value):
    """What fired at the last look, by the rule's name and the condition's identity."""

    seen: dict[str, dict[str, Seen]] = Field(default_factory=dict)


@dataclass(frozen=True)
class MetricsPoller:
    """One service. A rule that cannot be read keeps none of the others from being told, and clears none of its own; nor
    does a series that has no figure. `described` are labels that are fetched only for what is told."""

    metrics: MetricReading
    source: str
    name: str
    period: timedelta
    timeout: timedelta
    rules: Sequence[MetricRule] = ()
    described: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda _labels: {}

    def look(self, now: datetime, memory: Mapping[str, Any]) -> Looked:
        """Raises what the first rule raised where none could be read."""
        known = recalled(Memory, memory).seen
        known = {rule.name: known.get(rule.name, {}) for rule in self.rules}
        asked = each(self.rules, lambda rule: self.metrics.figures(rule.asks, now))
        told: list[Heard] = []
        for rule, figures in asked.answers:
            known[rule.name], heard = self._of_rule(rule, figures, known[rule.name], now)
            told += heard
        after = Memory(seen=bounded(known)).model_dump(mode="json")
        return Looked([*told, *asked.told(lambda rule: rule.name)], after)

    def _of_rule(
        self, rule: MetricRule, figures: Sequence[Figure], before: Mapping[str, Seen], now: datetime
    ) -> tuple[dict[str, Seen], list[Heard]]:
        """A series without a figure is unknown: it has not ended."""
        over = [figure for figure in figures if rule.crossed(figure.value)]
        well = {_condition(self.source, rule, figure) for figure in figures if not rule.crossed(figure.value)}
        heard = [attempt(lambda one=one: self._alert(rule, one, now)) for one in over]  # type: ignore[misc]
        firing = {one.condition: one for one in heard if isinstance(one, Alert)}
        waits = dict.fromkeys(firing, rule.sustained)
        since = {_condition(self.source, rule, figure): now - rule.held_for(figure) for figure in over}
        after, told = compared(before, firing, waits, now, well, since)
        return after, [*told, *(one for one in heard if isinstance(one, Malformed))]

    def _alert(self, rule: MetricRule, figure: Figure, now: datetime) -> Alert:
        return _alert(self.source, rule, figure, self.described(figure.labels), now)


def _condition(source: str, rule: MetricRule, figure: Figure) -> str:
    return id_of(source, rule.name, sorted(figure.labels.items()))


def _alert(source: str, rule: MetricRule, figure: Figure, more: Mapping[str, str], now: datetime) -> Alert:
    condition, step = _condition(source, rule, figure), rule.step(figure.value)
    threshold = {"threshold_days": step} if step else {}
    return Alert(
        source=source, name=rule.name, fired_at=now, severity=rule.severity,
        summary=text(f"{rule.name} is {figure.value:g}" + (f" ({figure.unit})" if figure.unit else "")),
        value=figure.value, labels={**figure.labels, **more, **rule.labels, **threshold}, condition=condition,
        event_id=telling(f"{condition}/{step}", now),
    )  # fmt: skip
