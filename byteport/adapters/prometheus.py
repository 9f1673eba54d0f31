"""Prometheus' HTTP API v1, and Alertmanager's v2 as far as silences go."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import ValidationError

from byteport.adapters.http_api import HttpApi, said
from byteport.errors import BytePortError, Permanent, Transient
from byteport.model.facts.prometheus import Firing, FiringAlert, Run, Sample, Vector
from byteport.records.standing import ForeignSilence, Matcher
from byteport.redaction import redact_text

MOST_SERIES = 1000


@dataclass(frozen=True)
class Prometheus:
    """Reads. Raises Transient, or Permanent for what Prometheus itself calls bad data, or too much of it."""

    api: HttpApi

    def firing(self) -> Firing:
        """Its alerts that fire; pending ones are none yet."""
        data, warnings = self._data("/api/v1/alerts", {})
        told = [one for one in _objects(data.get("alerts")) if one.get("state") == "firing"]
        return Firing(alerts=tuple(_alert(one) for one in _bounded(told)), warnings=warnings)

    def alerts(self) -> Sequence[FiringAlert]:
        return self.firing().alerts

    def vector(self, expression: str, at: datetime | None = None) -> Vector:
        """An instant query (a scalar is one sample without labels)."""
        params = {"query": expression, **({"time": _seconds(at)} if at else {})}
        data, warnings = self._data("/api/v1/query", params)
        match data.get("resultType"):
            case "vector":
                found = (_sample(one) for one in _bounded(_objects(data.get("result"))))
                return Vector(samples=tuple(one for one in found if one is not None), warnings=warnings)
            case "scalar":
                value = data.get("result") or [None, None]
                return Vector(samples=(Sample(labels={}, value=_number(value[1])),), warnings=warnings)
            case other:
                raise Permanent(f"prometheus: a vector is expected, this is a {other}")

    def query(self, expression: str, at: datetime | None = None) -> Sequence[Sample]:
        """The samples alone, for who can do with a part of them."""
        return self.vector(expression, at).samples

    def query_range(self, expression: str, since: datetime, until: datetime, step: timedelta) -> Sequence[Run]:
        """Each series at every step that it has a number at. Prometheus answers at most 11,000 steps."""
        params = {
            "query": expression, "start": _seconds(since), "end": _seconds(until), "step": f"{step.total_seconds():g}",
        }  # fmt: skip
        data, _ = self._data("/api/v1/query_range", params)
        return [_run(one) for one in _bounded(_objects(data.get("result")))]

    def _data(self, path: str, params: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What it told, and its warnings, but for those about how a query is written, which miss nothing."""
        told = self.api.ask("GET", path, params=params).json()
        if not isinstance(told, dict) or told.get("status") != "success" or not isinstance(told.get("data"), dict):
            raise Transient("prometheus: the answer was not Prometheus'")
        found = told.get("warnings")
        warnings = [redact_text(str(one))[:200] for one in (found if isinstance(found, list) else [])]
        data: dict[str, Any] = told["data"]
        return data, tuple(one for one in warnings if not one.startswith("PromQL "))


@dataclass(frozen=True)
class Alertmanager:
    """Its silences."""

    api: HttpApi

    def silences(self) -> Sequence[ForeignSilence]:
        """Those that hold now or will. One that cannot be read here is Permanent: nobody knows what it silences."""
        told = self.api.ask("GET", "/api/v2/silences").json()
        if not isinstance(told, list):
            raise Transient("alertmanager: the answer was not Alertmanager's")
        held = [one for one in told if one.get("status", {}).get("state") != "expired"]
        try:
            return [_silence(one) for one in held]
        except (ValidationError, KeyError, TypeError, AttributeError) as wrong:
            raise Permanent(
                f"alertmanager: a silence of a form that is not known here: {type(wrong).__name__}"
            ) from None


def refused(status: int, _headers: httpx.Headers, body: bytes) -> BytePortError | None:
    """Prometheus words what it refuses: a bad query stays bad; a time-out or an abort may not happen again."""
    try:
        kind = json.loads(body).get("errorType", "")
    except (ValueError, AttributeError):
        return None
    if kind in ("bad_data", "execution") and status in (400, 422):
        return Permanent(f"prometheus: {kind}: {said(body)}")
    return Transient(f"prometheus: {kind}: {said(body)}") if kind in ("timeout", "canceled", "unavailable") else None


def _objects(told: Any) -> list[dict[str, Any]]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _bounded(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(told) > MOST_SERIES:
        raise Permanent(f"prometheus: {len(told)} series; at most {MOST_SERIES} are read")
    return told


def _seconds(at: datetime) -> str:
    return f"{at.timestamp():.3f}"


def _run(told: Mapping[str, Any]) -> Run:
    labels = {str(name): str(part) for name, part in (told.get("metric") or {}).items()}
    pairs = [pair for pair in told.get("values") or [] if isinstance(pair, list) and len(pair) == 2]
    found = [(datetime.fromtimestamp(float(at), UTC), _number(value)) for at, value in pairs]
    return Run(labels=labels, points=tuple((at, value) for at, value in found if value is not None))


def _alert(told: Mapping[str, Any]) -> FiringAlert:
    labels = {str(name): str(value) for name, value in (told.get("labels") or {}).items()}
    notes = {str(name): str(value) for name, value in (told.get("annotations") or {}).items()}
    try:
        return FiringAlert(
            labels=labels, annotations=notes, active_at=told["activeAt"], value=_number(told.get("value"))
        )
    except (KeyError, ValidationError) as wrong:
        raise Permanent(f"prometheus: an alert of a form that is not known here: {type(wrong).__name__}") from None


def _sample(told: Mapping[str, Any]) -> Sample | None:
    """None for a native histogram, which has no one value."""
    value = told.get("value")
    if not isinstance(value, list) or len(value) != 2:
        return None
    labels = {str(name): str(part) for name, part in (told.get("metric") or {}).items()}
    return Sample(labels=labels, value=_number(value[1]))


def _number(told: object) -> float | None:
    try:
        value = float(str(told))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _silence(told: Mapping[str, Any]) -> ForeignSilence:
    matchers = tuple(
        Matcher(name=m["name"], value=m["value"], is_regex=m.get("isRegex", False), is_equal=m.get("isEqual", True))
        for m in told["matchers"]
    )
    return ForeignSilence(
        id=told["id"], matchers=matchers, why=str(told.get("comment") or "no comment"),
        who=str(told.get("createdBy") or "somebody"), since=told["startsAt"], until=told["endsAt"],
    )  # fmt: skip
