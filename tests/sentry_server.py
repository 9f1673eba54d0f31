"""A Sentry on loopback that keeps issues, events, releases and deploys, and answers as its documentation has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from tests.http_server import Asked, Reply, loopback

ORG, PROJECT, TOKEN = "acme-example", "shop", "sntryu_" + "5" * 40
DAY_MINUTES = 24 * 60


def iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


@dataclass
class Sentry:
    """One issue of one project. `usual` and `now_rate` are events a minute, the latter in the last quarter of an hour."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    issue_id: str = "1170820242"
    title: str = "KeyError: 'total'"
    exceptions: list[dict[str, Any]] = field(default_factory=lambda: [raised("KeyError", "'total'")])
    first_seen: datetime | None = None
    regressed: tuple[datetime, str] | None = None
    first_release: str = "shop@2.0.0"
    event_release: str = "shop@2.0.0"
    event_count: int = 480
    users: int = 57
    usual: float = 1.0
    now_rate: float = 60.0
    deploys: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    http: Any = None

    def minutes_ago(self, minutes: float) -> datetime:
        return self.now - timedelta(minutes=minutes)

    def deploy(self, release: str, minutes_ago: float, environment: str = "production", **more: Any) -> None:
        """As somebody told Sentry of it."""
        at = self.minutes_ago(minutes_ago)
        self.deploys.append({
            "id": str(len(self.deploys) + 1), "environment": environment, "name": None, "url": None,
            "dateStarted": iso(at - timedelta(minutes=1)), "dateFinished": iso(at), "release": release, **more,
        })  # fmt: skip

    # -- what it answers ---------------------------------------------------------------------------------------------------
    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, {"detail": "Invalid token"})
        at = f"/api/0/organizations/{ORG}"
        words: list[tuple[str, str, Callable[..., Any]]] = [
            ("issue", at + r"/issues/(\d+)/", self._issue),
            ("event", at + r"/issues/(\d+)/events/latest/", self._event),
            ("rates", at + r"/events-stats/", self._rates),
            ("releases", f"/api/0/projects/{ORG}/{PROJECT}/releases/", self._releases),
            ("deploys", at + r"/releases/([^/]+)/deploys/", self._deploys),
        ]
        for name, pattern, act in words:
            if (found := re.fullmatch(pattern, asked.raw_path.split("?")[0])) is not None:
                if name in self.refused:
                    return Reply(self.refused[name], {"detail": "as the test says"})
                return Reply(200, act(asked, *found.groups()))
        return Reply(404, {"detail": "The requested resource does not exist"})

    def _issue(self, _asked: Asked, issue: str) -> dict[str, Any]:
        back = [] if self.regressed is None else [
            {"id": "9", "type": "set_regression", "user": None, "dateCreated": iso(self.regressed[0]),
             "data": {"version": self.regressed[1]}},
        ]  # fmt: skip
        return {
            "id": issue, "shortId": "SHOP-1F", "title": self.title, "culprit": "shop.orders in save", "level": "error",
            "status": "unresolved", "substatus": "regressed" if back else "new", "count": str(self.event_count),
            "userCount": self.users, "firstSeen": iso(self.first_seen or self.minutes_ago(5)), "lastSeen": iso(self.now),
            "permalink": f"https://{ORG}.sentry.example/issues/{issue}/",
            "project": {"id": "11276", "name": "Shop", "slug": PROJECT, "platform": "python"},
            "firstRelease": {"version": self.first_release} if self.first_release else None,
            "activity": [*back, {"id": "0", "type": "first_seen", "user": None, "data": {},
                                 "dateCreated": iso(self.first_seen or self.minutes_ago(5))}],
            "seenBy": [{"name": "Somebody", "email": "somebody@mail.example"}],
        }  # fmt: skip

    def _event(self, _asked: Asked, issue: str) -> dict[str, Any]:
        return {
            "id": "e4874d664c3540c1a32eab185f12c5ab", "eventID": "e4874d664c3540c1a32eab185f12c5ab", "groupID": issue,
            "dateCreated": iso(self.now), "message": "", "title": self.title, "platform": "python",
            "release": {"version": self.event_release} if self.event_release else None,
            "user": {"email": "customer@mail.example", "ip_address": "192.0.2.7"},
            "tags": [{"key": "environment", "value": "production"}, {"key": "level", "value": "error"}],
            "entries": [
                {"type": "exception", "data": {"values": self.exceptions}},
                {"type": "request", "data": {"url": "https://shop.example/pay?card=4111", "cookies": [["sid", "s3cr3t"]]}},
            ],
        }  # fmt: skip

    def _rates(self, asked: Asked) -> dict[str, Any]:
        step = int(asked.query["interval"].removesuffix("m"))
        assert asked.query["query"] == f"issue.id:{self.issue_id}"
        begin = int((self.now - timedelta(minutes=DAY_MINUTES)).timestamp()) // 60 * 60
        counts = [self.usual] * (DAY_MINUTES - 15) + [self.now_rate] * 15
        told = [(begin + 60 * at, round(sum(counts[at : at + step]))) for at in range(0, DAY_MINUTES, step)]
        return {"data": [[at, [{"count": count}]] for at, count in told], "start": begin, "end": begin + 86400}

    def _releases(self, _asked: Asked) -> list[dict[str, Any]]:
        newest: dict[str, dict[str, Any]] = {}
        for one in sorted(self.deploys, key=lambda one: one["dateFinished"]):
            newest[one["release"]] = one
        return [
            {"version": version, "shortVersion": version, "dateCreated": last["dateStarted"], "lastDeploy": last,
             "deployCount": 1, "lastCommit": {"id": "a" * 40}, "projects": [{"slug": PROJECT}]}
            for version, last in sorted(newest.items(), reverse=True)
        ]  # fmt: skip

    def _deploys(self, _asked: Asked, version: str) -> list[dict[str, Any]]:
        return [one for one in self.deploys if quote(one["release"], safe="") == version]


def raised(kind: str, value: str, *frames: tuple[str, str]) -> dict[str, Any]:
    """An exception as an event has it, its variables among the frames."""
    told = frames or (("shop.web", "handle"), ("shop.orders", "save"))
    return {
        "type": kind, "value": value,
        "stacktrace": {"frames": [
            {"module": module, "function": function, "lineNo": 7, "vars": {"card": "4111111111111111"}, "inApp": True}
            for module, function in told
        ]},
    }  # fmt: skip


@contextmanager
def running() -> Iterator[Sentry]:
    sentry = Sentry()
    with loopback(sentry.answer) as http:
        sentry.http = http
        yield sentry
