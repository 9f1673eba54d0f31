"""Sentry's web API, read: issues of an organisation, and how many events an issue had when.

Documented under "List an organization's issues" and "Retrieve event counts". The token needs org:read, project:read and
event:read, and nothing that writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from byteport.adapters.http_api import LONGEST_WAIT, PATIENCE, HttpApi, said
from byteport.errors import BytePortError, Denied, Permanent, Transient
from byteport.model.facts.application import Bucket, ErrorIssue, ErrorRates

URL = "https://sentry.io"
INTERVAL = timedelta(minutes=5)
PAGE, MOST_PAGES = 100, 3
_NEXT = re.compile(r'<[^>]*>; rel="next"; results="true"; cursor="([^"]+)"')


@dataclass(frozen=True)
class Sentry:
    """Of one organisation, by its slug."""

    api: HttpApi
    org: str

    @classmethod
    def at(cls, org: str, token: str, url: str = URL, patience: timedelta = PATIENCE) -> Sentry:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return cls(HttpApi("sentry", url, headers, patience, refused=_refused), org)

    def unresolved(self, projects: Sequence[str], since: datetime) -> Sequence[ErrorIssue]:
        """Unresolved issues with an event since; the latest first, at most three hundred."""
        words = [f"project:[{','.join(projects)}]"] if projects else []
        query = " ".join(["is:unresolved", f"lastSeen:>={since.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", *words])
        params = {"query": query, "statsPeriod": "24h", "sort": "date", "limit": str(PAGE)}
        found: list[ErrorIssue] = []
        cursor = ""
        for _ in range(MOST_PAGES):
            more = {"cursor": cursor} if cursor else {}
            answer = self.api.ask("GET", self._path("issues"), params={**params, **more})
            found += [_issue(one) for one in _listed(answer.json())]
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None:
                break
            cursor = following[1]
        return found

    def rates(self, issue: str) -> ErrorRates:
        """Its events of the last 24 h in buckets of five minutes."""
        params = {
            "query": f"issue.id:{int(issue)}", "yAxis": "count()", "interval": "5m", "statsPeriod": "24h",
            "dataset": "errors",
        }  # fmt: skip
        told = self.api.ask("GET", self._path("events-stats"), params=params).json()
        try:
            buckets = tuple(
                Bucket(at=datetime.fromtimestamp(at, UTC), count=int(counted[0]["count"]))
                for at, counted in told["data"]
            )
        except (KeyError, TypeError, ValueError, IndexError, ValidationError) as wrong:
            raise Permanent(f"sentry: counts of a form that is not known here: {type(wrong).__name__}") from None
        return ErrorRates(seconds=int(INTERVAL.total_seconds()), buckets=buckets)

    def _path(self, what: str) -> str:
        return f"/api/0/organizations/{quote(self.org, safe='')}/{what}/"


def _listed(told: Any) -> list[Mapping[str, Any]]:
    if not isinstance(told, list):
        raise Transient("sentry: the answer was not Sentry's")
    return [one for one in told if isinstance(one, dict)]


def _issue(told: Mapping[str, Any]) -> ErrorIssue:
    try:
        return ErrorIssue(
            id=str(told["id"]), short_id=told.get("shortId") or "", title=(told.get("title") or "")[:500],
            culprit=(told.get("culprit") or "")[:300], level=told.get("level") or "",
            project=(told.get("project") or {}).get("slug") or "", permalink=told.get("permalink") or "",
            status=told.get("status") or "", substatus=told.get("substatus") or "",
            event_count=int(told.get("count") or 0), affected_users=int(told.get("userCount") or 0),
            first_seen=told.get("firstSeen"), last_seen=told.get("lastSeen"),
        )  # fmt: skip
    except (KeyError, ValueError, AttributeError, ValidationError) as wrong:
        raise Permanent(f"sentry: an issue of a form that is not known here: {type(wrong).__name__}") from None


def _refused(status: int, headers: httpx.Headers, body: bytes) -> BytePortError | None:
    """A rate limit names the time when it ends in a header of its own."""
    if status in (401, 403):
        return Denied(f"sentry: {said(body)}: the token needs org:read, project:read and event:read")
    reset = headers.get("x-sentry-rate-limit-reset", "")
    if status == 429 and reset.isdigit() and not headers.get("retry-after"):
        left = datetime.fromtimestamp(int(reset[:11]), UTC) - datetime.now(UTC)
        wait = min(max(left, timedelta(seconds=1)), timedelta(seconds=LONGEST_WAIT))
        return Transient(f"sentry: {said(body)}", retry_after=wait)
    return None
