"""Sentry's web API, read: issues of an organisation, how many events an issue had when, and what was deployed.

Documented under "List an organization's issues", "Retrieve an issue", "Retrieve an issue event", "Retrieve event
counts", "List a project's releases" and "List a release's deploys". The token needs org:read, project:read and
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
from byteport.adapters.sentry_answers import commit_of, deploy_of, event_of, issue_of, moment_of, version_of
from byteport.errors import BytePortError, Denied, Permanent, Transient
from byteport.model.facts.application import (
    Bucket,
    DeployMark,
    ErrorIssue,
    ErrorRates,
    EventRate,
    Releases,
    StackTrace,
)

URL = "https://sentry.io"
INTERVAL, MINUTE = timedelta(minutes=5), timedelta(minutes=1)
DAY_MINUTES = 24 * 60
PAGE, MOST_PAGES, MOST_RELEASES = 100, 3, 10
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
            found += [issue_of(one) for one in _listed(answer.json())]
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None:
                break
            cursor = following[1]
        return found

    def rates(self, issue: str) -> ErrorRates:
        """Its events of the last 24 h in buckets of five minutes."""
        return self._counts(issue, INTERVAL)

    def issue(self, issue: str) -> ErrorIssue:
        """One issue, with what happened to it."""
        return issue_of(_object(self.api.ask("GET", self._path(f"issues/{int(issue)}")).json()))

    def latest_event(self, issue: str) -> StackTrace:
        """The newest event that is kept of it."""
        return event_of(_object(self.api.ask("GET", self._path(f"issues/{int(issue)}/events/latest")).json()))

    def event_rate(self, issue: str, window: timedelta) -> EventRate:
        """By whole minutes. The newest is not full yet, so that the window lies across one more: the larger half of the
        truth counts, which tells of a spike early and of its end late."""
        counts = [bucket.count for bucket in self._counts(issue, MINUTE).buckets]
        wanted = max(1, round(window / MINUTE))
        events = max(sum(counts[-wanted:]), sum(counts[-wanted - 1 : -1]))
        return EventRate(events=events, seconds=wanted * 60, baseline=max(1.0, sum(counts) / DAY_MINUTES))

    def releases(self, project: str, environment: str) -> Releases:
        """What was deployed last to the environment, and what before. A release that was deployed again need not be
        the newest one: they are read in the order of their last deploys, as far as that can change the answer."""
        path = f"/api/0/projects/{quote(self.org, safe='')}/{quote(project, safe='')}/releases/"
        listed = _listed(self.api.ask("GET", path, params={"per_page": str(PAGE)}).json())
        known = [(one["lastDeploy"], one) for one in listed if isinstance(one.get("lastDeploy"), dict)]
        newest = sorted(known, key=lambda pair: moment_of(pair[0].get("dateFinished")), reverse=True)
        found: list[DeployMark] = []
        for number, (last, release) in enumerate(newest):
            ranked = sorted(found, key=lambda mark: mark.finished, reverse=True)
            others = [mark for mark in ranked if mark.release != ranked[0].release]
            if others and others[0].finished >= moment_of(last.get("dateFinished")):
                break
            if number == MOST_RELEASES:
                raise Permanent(f"sentry: which release runs in {environment} is not among the last {MOST_RELEASES}")
            found += self._deploys(release, environment)
        ranked = sorted(found, key=lambda mark: mark.finished, reverse=True)
        before = [mark for mark in ranked if mark.release != ranked[0].release]
        return Releases(
            environment=environment, running=ranked[0] if ranked else None, previous=before[0] if before else None
        )

    def _deploys(self, release: Mapping[str, Any], environment: str) -> list[DeployMark]:
        version = version_of(release)
        told = self.api.ask("GET", self._path(f"releases/{quote(version, safe='')}/deploys")).json()
        marks = [deploy_of(one, version, commit_of(release)) for one in _listed(told)]
        return [mark for mark in marks if mark.environment == environment]

    def _counts(self, issue: str, interval: timedelta) -> ErrorRates:
        params = {
            "query": f"issue.id:{int(issue)}", "yAxis": "count()", "interval": f"{interval // MINUTE}m",
            "statsPeriod": "24h", "dataset": "errors",
        }  # fmt: skip
        told = self.api.ask("GET", self._path("events-stats"), params=params).json()
        try:
            buckets = tuple(
                Bucket(at=datetime.fromtimestamp(at, UTC), count=int(counted[0]["count"]))
                for at, counted in told["data"]
            )
        except (KeyError, TypeError, ValueError, IndexError, ValidationError) as wrong:
            raise Permanent(f"sentry: counts of a form that is not known here: {type(wrong).__name__}") from None
        return ErrorRates(seconds=int(interval.total_seconds()), buckets=buckets)

    def _path(self, what: str) -> str:
        return f"/api/0/organizations/{quote(self.org, safe='')}/{what}/"


def _listed(told: Any) -> list[Mapping[str, Any]]:
    if not isinstance(told, list):
        raise Transient("sentry: the answer was not Sentry's")
    return [one for one in told if isinstance(one, dict)]


def _object(told: Any) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise Transient("sentry: the answer was not Sentry's")
    return told


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
