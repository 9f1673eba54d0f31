"""Datadog's metrics: what a query says over the last minutes. Documented under "Query timeseries points"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from byteport.adapters.http_api import LONGEST_WAIT, PATIENCE, HttpApi, said
from byteport.errors import BytePortError, Permanent, Transient
from byteport.model.facts.metrics import Figure

WINDOW = timedelta(minutes=5)


@dataclass(frozen=True)
class Datadog:
    """With an API key and an application key that may read metrics (timeseries_query)."""

    api: HttpApi

    @classmethod
    def at(cls, api_key: str, application_key: str, url: str, patience: timedelta = PATIENCE) -> Datadog:
        headers = {"DD-API-KEY": api_key, "DD-APPLICATION-KEY": application_key, "Accept": "application/json"}
        return cls(HttpApi("datadog", url, headers, patience, refused=_refused))

    def figures(self, asks: Mapping[str, object], now: datetime) -> Sequence[Figure]:
        """`asks` has the `query`; the newest point of each series of the last five minutes."""
        span = {"from": int((now - WINDOW).timestamp()), "to": int(now.timestamp()), "query": str(asks["query"])}
        told = self.api.ask("GET", "/api/v1/query", params=span).json()
        if not isinstance(told, dict) or not isinstance(told.get("series", []), list):
            raise Transient("datadog: the answer was not Datadog's")
        if told.get("status") == "error" or told.get("error"):
            raise Permanent(f"datadog: {said(str(told.get('error')).encode())}")
        return [figure for series in told.get("series", []) if (figure := _newest(series)) is not None]


def _newest(series: Mapping[str, Any]) -> Figure | None:
    points = [point for point in series.get("pointlist") or [] if len(point) == 2 and _is_number(point[1])]
    if not points:
        return None
    at, value = max(points, key=lambda point: point[0])
    tags = [str(tag).partition(":") for tag in series.get("tag_set") or []]
    labels = {name: told or "true" for name, _, told in tags if name}
    return Figure(
        value=float(value), at=datetime.fromtimestamp(at / 1000, UTC),
        labels={**labels, "metric": str(series.get("metric") or ""), "scope": str(series.get("scope") or "")},
    )  # fmt: skip


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _refused(status: int, headers: httpx.Headers, body: bytes) -> BytePortError | None:
    """Datadog names the end of a rate limit in seconds, in a header of its own."""
    reset = headers.get("x-ratelimit-reset", "")
    if status == 429 and reset.isdigit():
        return Transient(f"datadog: {said(body)}", retry_after=timedelta(seconds=min(int(reset[:6]), LONGEST_WAIT)))
    return None
