"""From an alert to a signal and its target, as data that people write.

A template names labels in braces: `{namespace}/{pod}`. `{instance|host}` passes a label through one of `FILTERS`, and
`{cluster:-default}` says what stands there where the label is missing or empty. `{{` and `}}` are braces.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from byteport.model.alert import Alert
from byteport.model.signal import Severity
from byteport.model.target import Key, TargetKind, Text

_HOLE = re.compile(r"\{\{|\}\}|\{([^{}|:]+)(?:\|([a-z_]+))?(?::-([^{}]*))?\}|[{}]")
POSTGRES_PORT = "5432"


def _host(address: str) -> str:
    """Without scheme, path and port: `10.0.0.1:9100` and `https://10.0.0.1/x` are 10.0.0.1. Empty for no address."""
    try:
        netloc = urlsplit(address if "://" in address else f"//{address}").netloc.rpartition("@")[2]
    except ValueError:
        return ""
    if netloc.startswith("["):
        return netloc.partition("]")[0].removeprefix("[")
    if netloc.count(":") > 1 and _is_address(netloc):
        return netloc
    return netloc.partition(":")[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _server(address: str) -> str:
    """As databases name their server: the port stays, unless it is PostgreSQL's own."""
    return address.removesuffix(f":{POSTGRES_PORT}")


FILTERS: Mapping[str, Callable[[str], str]] = {
    "host": _host,
    "server": _server,
    "lower": str.lower,
    "domain": lambda address: _host(address).lower().rstrip("."),
    "last": lambda text: text.rstrip("/").rpartition("/")[2],
}


class Missing(Exception):
    """A template names a label that the alert does not carry."""


def filled(template: str, labels: Mapping[str, str]) -> str:
    """The template with its labels; raises Missing where one without a default is not there or empty."""

    def fill(hole: re.Match[str]) -> str:
        if hole[1] is None:
            return hole[0][0]
        value = labels.get(hole[1].strip(), "")
        told = FILTERS[hole[2]](value) if hole[2] and value else value
        if told:
            return told
        if hole[3] is None:
            raise Missing(f"label {hole[1].strip()!r} is missing")
        return hole[3]

    return _HOLE.sub(fill, template)


def template_problem(template: str) -> str:
    """What is wrong with a template; empty where nothing is."""
    for hole in _HOLE.finditer(template):
        if hole[0] in "{}":
            return f"a template such as {{label}}, {{label|host}} or {{label:-default}}; {template!r} has a lone brace"
        if hole[2] and hole[2] not in FILTERS:
            return f"a filter that exists ({', '.join(sorted(FILTERS))}), not {hole[2]!r}"
    return ""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)


class RouteTarget(_Part):
    """The target, each part a template over the alert's labels."""

    kind: TargetKind
    """What it is: host, pod, database …"""
    key: Key
    """Its key, as the runbooks of that kind name it."""
    within: tuple[Key, ...] = ()
    """What it is part of, innermost first, as kind:key; one that names a missing label is left out."""
    coordinates: dict[Key, Text] = Field(default_factory=dict, max_length=32)
    """How to reach it; one that names a missing label is left out."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for template in (self.key, *self.within, *self.coordinates.values()):
            if wrong := template_problem(template):
                raise ValueError(wrong)
        return self


class Route(_Part):
    """One line of the mapping. The first route that an alert fits decides, yours before the built-in ones."""

    name: Annotated[str, StringConstraints(max_length=80)] = ""
    """For `byteport routes test`; not given: its place."""
    source: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,63})?$")] = ""
    """Only alerts of this source; not given: of any."""
    match: dict[Key, Text] = Field(default_factory=dict, max_length=32)
    """Labels that must have exactly these values. The alert's name is the label `alertname`."""
    match_regex: dict[Key, Text] = Field(default_factory=dict, max_length=32)
    """Labels that a regular expression must match as a whole; a missing label is an empty text."""
    signal: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    """The signal that it becomes."""
    severity: Severity | None = None
    """How severe it is; not given: as the source says."""
    target: RouteTarget
    """What it is about."""
    labels: dict[Key, Text] = Field(default_factory=dict, max_length=16)
    """Labels that the signal gets besides the alert's own, as templates; what the runbook may ask for by name."""

    @field_validator("match_regex")
    @classmethod
    def _compiles(cls, value: dict[str, str]) -> dict[str, str]:
        for label, pattern in value.items():
            try:
                re.compile(pattern)
            except re.error as wrong:
                raise ValueError(f"a regular expression for {label!r} ({wrong})") from None
        return value

    @model_validator(mode="after")
    def _fits_something(self) -> Self:
        if not self.match and not self.match_regex:
            raise ValueError("at least one label in match or match_regex: an empty selector means nothing")
        for template in self.labels.values():
            if wrong := template_problem(template):
                raise ValueError(wrong)
        return self

    @cached_property
    def patterns(self) -> dict[str, re.Pattern[str]]:
        return {label: re.compile(pattern) for label, pattern in self.match_regex.items()}

    @property
    def selector(self) -> tuple[str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        """What it selects, comparable."""
        return self.source, tuple(sorted(self.match.items())), tuple(sorted(self.match_regex.items()))

    def why_not(self, alert: Alert) -> str:
        """Why the alert does not fit, in words; empty where it does."""
        if self.source and self.source != alert.source:
            return f"source is {alert.source}, not {self.source}"
        labels = labels_of(alert)
        for label, wanted in self.match.items():
            if labels.get(label, "") != wanted:
                return f"{label} is {labels.get(label, '')!r}, not {wanted!r}"
        for label, pattern in self.patterns.items():
            if pattern.fullmatch(labels.get(label, "")) is None:
                return f"{label} is {labels.get(label, '')!r}, which does not match {pattern.pattern!r}"
        return ""


def labels_of(alert: Alert) -> dict[str, str]:
    """What routes read: the alert's labels, its name as `alertname`, and its source."""
    return {"source": alert.source, **alert.labels, "alertname": alert.name}


def shadowed(routes: Sequence[Route]) -> Iterator[tuple[int, int]]:
    """Pairs (earlier, later) of routes that select the same: the later one can never be reached."""
    for later, route in enumerate(routes):
        for earlier, before in enumerate(routes[:later]):
            if before.selector == route.selector:
                yield earlier, later
                break
