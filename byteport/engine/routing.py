"""Which signal an alert becomes, on which target, and which runbook takes it. Pure; exactly one does, or none.

Routes are tried in order, people's before the built-in ones, and the first that an alert fits decides: a later one is
never tried instead, so that what happens with an alert can be read off one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from byteport.engine.pages import Pages
from byteport.grammar.runbook import Runbook
from byteport.model.alert import Alert
from byteport.model.route import Missing, Route, filled, labels_of
from byteport.model.signal import Signal
from byteport.model.target import Target

MOST_LABELS = 64


@dataclass(frozen=True)
class Unrouted:
    """An alert that nobody takes, and why not."""

    alert: Alert
    why: str


@dataclass(frozen=True)
class Considered:
    """One route and why it does not fit; empty where it does."""

    place: int
    route: Route
    own: bool
    why_not: str


@dataclass(frozen=True)
class Explained:
    """What becomes of an alert. `takes` is the runbook, `others` those that would have been possible and why not."""

    alert: Alert
    considered: tuple[Considered, ...]
    signal: Signal | None
    takes: Runbook | None
    others: tuple[tuple[str, str], ...]
    why_not: str = ""


@dataclass(frozen=True)
class Routing:
    """`own` are the routes of the configuration, `shipped` the built-in ones."""

    pages: Pages
    own: tuple[Route, ...] = ()
    shipped: tuple[Route, ...] = ()

    def signal_of(self, alert: Alert) -> Signal | Unrouted:
        """The signal that the alert becomes, for `Intake.take`."""
        for considered in self._tried(alert):
            if not considered.why_not:
                return self._made(alert, considered.route)
        return Unrouted(alert, "no route fits")

    def explain(self, alert: Alert) -> Explained:
        """The same with every route up to the one that fits, and the runbooks that claim its signal."""
        considered = tuple(self._tried(alert))
        if not considered or considered[-1].why_not:
            return Explained(alert, considered, None, None, (), "no route fits")
        made = self._made(alert, considered[-1].route)
        if isinstance(made, Unrouted):
            return Explained(alert, considered, None, None, tuple(self._idle(considered[-1].route)), made.why)
        takes, *later = self.pages.claimants(made.name, made.target.kind)
        others = [(page.name, f"{takes.name} comes first in the order") for page in later]
        return Explained(alert, considered, made, takes, (*others, *self._idle(considered[-1].route)))

    def _tried(self, alert: Alert) -> Iterator[Considered]:
        numbered = [(n, r, True) for n, r in enumerate(self.own)] + [(n, r, False) for n, r in enumerate(self.shipped)]
        for place, route, own in numbered:
            why_not = route.why_not(alert)
            yield Considered(place, route, own, why_not)
            if not why_not:
                return

    def _made(self, alert: Alert, route: Route) -> Signal | Unrouted:
        try:
            signal = signal_by(route, alert)
        except Missing as gap:
            return Unrouted(alert, f"route {route.name or route.signal}: {gap}")
        except ValidationError as wrong:
            line = wrong.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in line["loc"])
            return Unrouted(alert, f"route {route.name or route.signal}: {where}: {line['msg']}")
        if not self.pages.claimants(signal.name, signal.target.kind):
            return Unrouted(alert, f"no enabled runbook claims {signal.name} on a {signal.target.kind}")
        return signal

    def _idle(self, route: Route) -> Iterator[tuple[str, str]]:
        """Runbooks that know the signal and cannot take it."""
        for page in self.pages.all:
            if any(claimed.name == route.signal for claimed in page.signals):
                if page.target is not route.target.kind:
                    yield page.name, f"its target is a {page.target}, not a {route.target.kind}"
                elif not self.pages.is_enabled(page):
                    yield page.name, "it is not enabled"


def signal_by(route: Route, alert: Alert) -> Signal:
    """The alert as that route has it. Raises Missing, or ValidationError where the labels make no target."""
    labels = labels_of(alert)
    within = tuple(name for name in (_or_nothing(part, labels) for part in route.target.within) if name)
    coordinates = {key: _or_nothing(part, labels) for key, part in route.target.coordinates.items()}
    target = Target(
        kind=route.target.kind,
        key=filled(route.target.key, labels),
        within=within,
        coordinates={key: value for key, value in coordinates.items() if value},
    )
    added = {key: told for key, part in route.labels.items() if (told := _or_nothing(part, labels))}
    return Signal(
        name=route.signal,
        source=alert.source,
        target=target,
        fired_at=alert.fired_at,
        severity=route.severity or alert.severity,
        summary=alert.summary or alert.name,
        value=alert.value,
        labels=_bounded({"alertname": alert.name, **alert.labels, **added}, added),
        event_id=alert.event_id,
        condition=alert.condition,
        resolved=alert.resolved,
        raw=alert.raw,
    )


def _or_nothing(template: str, labels: dict[str, str]) -> str:
    try:
        return filled(template, labels)
    except Missing:
        return ""


def _bounded(labels: dict[str, str], added: dict[str, str]) -> dict[str, str]:
    """What people's route adds stays, whatever else has to go."""
    kept = {**added, **{key: value for key, value in labels.items() if key not in added}}
    return dict(list(kept.items())[:MOST_LABELS])
