"""Datadog's metrics: what a query says over the last minutes. Documented under "Query timeseries points"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from byteport.adapters.http_api import LONGEST_WAIT, PATIENCE, HttpApi, said
from byteport.errors import BytePortError, Denied, Permanent, Transient
from byteport.model.facts.metrics import Figure

WINDOW = timedelta(minutes=5)
MOST_SERIES = 1000


@dataclass(frozen=True)
class Datadog:
    """With an API key and an application key that may read metrics (timeseries_query)."""

    api: HttpApi

    @classmethod
    def at(cls, api_key: str, application_key: str, url: str, patience: timedelta = PATIENCE) -> Datadog:
        headers = {"DD-API-KEY": api_key, "DD-APPLICATION-KEY": application_key, "Accept": "application/json"}
        return cls(HttpApi("datadog", url, headers, patience, refused=_refused))

    def figures(self, asks: Mapping[str, object], now: datetime) -> Sequence[Figure]:
        """`asks` has the `query`; the points of each series of the last five minutes, and of `for_seconds` before."""
        window = WINDOW + timedelta(seconds=float(str(asks.get("for_seconds", 0))))
        span = {"from": int((now - window).timestamp()), "to": int(now.timestamp()), "query": str(asks["query"])}
        told = self.api.ask("GET", "/api/v1/query", params=span).json()
        if not isinstance(told, dict) or not isinstance(told.get("series", []), list):
            raise Transient("datadog: the answer was not Datadog's")
        if told.get("status") == "error" or told.get("error"):
            raise Permanent(f"datadog: {said(str(told.get('error')).encode())}")
        found = told.get("series") or []
        if len(found) > MOST_SERIES:
            raise Permanent(f"datadog: {len(found)} series; at most {MOST_SERIES} are read")
        return [figure for series in found if (figure := _newest(series, now)) is not None]


def _newest(series: Mapping[str, Any], now: datetime) -> Figure | None:
    """Of the figures whose time is over: the sum of one that goes on is too small."""
    length = series.get("interval")
    over = 1000 * (now.timestamp() - (float(length) if isinstance(length, int | float) else 0.0))
    points = [(point[0], point[1]) for point in series.get("pointlist") or [] if _is_point(point) and point[0] <= over]
    if not points:
        return None
    found = sorted(((datetime.fromtimestamp(at / 1000, UTC), float(value)) for at, value in points), reverse=True)
    (at, value), *earlier = found
    return Figure(
        value=value, at=at, earlier=tuple(earlier),
        labels={
            **_labels(series.get("tag_set")), "metric": str(series.get("metric") or ""),
            "scope": str(series.get("scope") or ""),
        },
    )  # fmt: skip


def _labels(tags: object) -> dict[str, str]:
    """A tag without a value is true; one that comes twice has both values, so that two series never look like one."""
    found: dict[str, str] = {}
    for name, _, told in sorted(str(tag).partition(":") for tag in (tags if isinstance(tags, list) else [])):
        if name:
            found[name] = f"{found[name]},{told or 'true'}" if name in found else told or "true"
    return found


def _is_point(pair: object) -> bool:
    """Milliseconds and a figure, which is null where there was nothing to count."""
    return isinstance(pair, list) and len(pair) == 2 and all(_is_number(one) for one in pair)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _refused(status: int, headers: httpx.Headers, body: bytes) -> BytePortError | None:
    """Datadog names the end of a rate limit in seconds, in a header of its own; 403 is a wrong key, or one without the
    right."""
    reset = headers.get("x-ratelimit-reset", "")
    if status == 429 and reset.isascii() and reset.isdigit():
        return Transient(f"datadog: {said(body)}", retry_after=timedelta(seconds=min(int(reset[:6]), LONGEST_WAIT)))
    if status == 403:
        return Denied(f"datadog: {said(body)}; it needs an API key, and an application key with timeseries_query")
    return None
