"""Sentry, asked: a spike is one by the issue's own measure, told once a day, and again where it doubles or comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.adapters.sentry import Sentry
from byteport.errors import Denied, Permanent, Transient
from byteport.model.alert import Alert
from byteport.model.facts.application import Bucket, ErrorIssue, ErrorRates
from byteport.sources.incoming import Malformed
from byteport.sources.sentry_issues import SentryIssuesPoller, SpikeRules, alert_of, spike_of
from tests.http_server import HANGS, Asked, Loopback, Reply, loopback

NOW = datetime(2026, 11, 26, 10, 2, tzinfo=UTC)
ORG = "acme-example"
RULES = SpikeRules()


def rates(*newest: int, usual: int = 0) -> ErrorRates:
    """288 buckets of five minutes; the last ones as given, the newest begun two minutes ago."""
    counts = [usual] * (288 - len(newest)) + list(newest)
    first = NOW - timedelta(minutes=2) - timedelta(minutes=5 * 287)
    return ErrorRates(
        seconds=300, buckets=tuple(Bucket(at=first + timedelta(minutes=5 * n), count=c) for n, c in enumerate(counts))
    )


def issue(**more: Any) -> ErrorIssue:
    return ErrorIssue(
        **({"id": "117", "short_id": "SHOP-7", "title": "boom", "project": "shop", "event_count": 60} | more)
    )


@pytest.mark.parametrize(
    ("told", "is_one"),
    [
        (rates(10, 10), False),
        (rates(15, 15), True),
        (rates(20, 0), True),
        (rates(10, 9), False),
        (rates(0, 20), True),
        (rates(30, 30, usual=25), False),
        (rates(80, 40, usual=25), True),
        (rates(500, 0, 0), False),
    ],
)
def test_what_a_spike_is(told, is_one):
    assert spike_of(told, RULES, NOW).is_one(RULES) is is_one


def test_the_baseline_is_the_issue_s_own_day_and_one_a_minute_at_least():
    assert spike_of(rates(20), RULES, NOW).baseline == 1.0
    assert spike_of(rates(usual=25), RULES, NOW).baseline == pytest.approx(5.0)


@given(st.lists(st.integers(0, 5000), max_size=30), st.integers(0, 100))
def test_less_than_twenty_are_never_one(newest, usual):
    spike = spike_of(rates(*newest, usual=usual), RULES, NOW)
    assert spike.events >= 20 or not spike.is_one(RULES)
    assert spike.baseline >= 1


def test_it_is_told_once_a_day_and_again_where_it_doubles_or_has_regressed():
    def event(count: int, at: datetime = NOW, **more: Any) -> str:
        return alert_of(issue(**more), spike_of(rates(count), RULES, NOW), ORG, at).event_id

    assert event(25) == event(39) == event(25, NOW + timedelta(hours=3))
    assert len({event(25), event(45), event(90), event(25, NOW + timedelta(days=1))}) == 4
    assert event(25, substatus="regressed", last_seen=NOW) != event(25)


@dataclass
class Server:
    """As Sentry's API is documented."""

    http: Any = None
    issues: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != "Bearer sntrys_token":
            return Reply(401, {"detail": "Invalid token"})
        if asked.path == f"/api/0/organizations/{ORG}/issues/":
            start = int(asked.query.get("cursor", "0"))
            page = self.issues[start : start + 2]
            more = "true" if start + 2 < len(self.issues) else "false"
            return Reply(
                200,
                page,
                {
                    "Link": f'<x>; rel="previous"; results="false"; cursor="0", <y>; rel="next"; results="{more}"; cursor="{start + 2}"'
                },
            )
        assert asked.path == f"/api/0/organizations/{ORG}/events-stats/"
        counts = self.counts.get(asked.query["query"].removeprefix("issue.id:"), [])
        first = NOW - timedelta(minutes=2 + 5 * (len(counts) - 1))
        data = [
            [int((first + timedelta(minutes=5 * n)).timestamp()), [{"count": count}]] for n, count in enumerate(counts)
        ]
        return Reply(200, {"data": data, "start": 0, "end": 0})

    def add(self, id_: str, *counts: int, **more: Any) -> None:
        self.counts[id_] = [*([0] * (288 - len(counts))), *counts]
        self.issues.append({
            "id": id_, "shortId": f"SHOP-{id_}", "title": "OperationalError", "culprit": "shop.save", "level": "error",
            "project": {"slug": "shop"}, "permalink": f"https://sentry.example/organizations/{ORG}/issues/{id_}/",
            "status": "unresolved", "substatus": "ongoing", "count": str(sum(counts)), "userCount": 3,
            "firstSeen": "2026-11-20T00:00:00Z", "lastSeen": "2026-11-26T10:01:00Z", **more,
        })  # fmt: skip


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    with loopback(made.answer) as http:
        made.http = http
        yield made


def poller(http: Loopback, token: str = "sntrys_token") -> SentryIssuesPoller:
    reader = Sentry.at(ORG, token, http.url, timedelta(seconds=1))
    return SentryIssuesPoller(reader, ORG, ("shop",), RULES, timedelta(seconds=60), timedelta(seconds=1))


def test_issues_that_spike_are_told_and_no_others(server):
    server.add("1", 40)
    server.add("2", 19)
    server.add("3", 30, count="5")
    server.add("4", 300, 0, 0, 0)
    (one,) = poller(server.http).ask(NOW)
    assert isinstance(one, Alert)
    assert (one.name, one.labels["issue_id"], one.labels["affected_users"]) == ("sentry_spike", "1", "3")
    assert one.labels["events_in_window"] == "40"
    listed = [asked for asked in server.http.asked if "issues" in asked.path]
    assert len(listed) == 2, "page by page"
    assert listed[0].query["query"] == "is:unresolved lastSeen:>=2026-11-26T09:57:00 project:[shop]"


def test_an_issue_whose_counts_cannot_be_read_costs_no_other(server):
    server.add("1", 40)
    server.add("2", 40)
    server.http.instead += [None, Reply(200, {"data": "x"})]
    wrong, one = poller(server.http).ask(NOW)
    assert isinstance(wrong, Malformed)
    assert isinstance(one, Alert)


@pytest.mark.parametrize(
    ("instead", "kind"),
    [
        (Reply(429, {"detail": "rate"}, {"X-Sentry-Rate-Limit-Reset": "4102444800"}), Transient),
        (Reply(500, "oops"), Transient),
        (Reply(200, {"not": "a list"}), Transient),
        (Reply(200, [{"no": "id"}]), Permanent),
        (Reply(403, {"detail": "You do not have permission"}), Denied),
        (HANGS, Transient),
    ],
)
def test_what_goes_wrong_says_what_it_means(server, instead, kind):
    server.http.instead.append(instead)
    with pytest.raises(kind) as wrong:
        poller(server.http).ask(NOW)
    assert "sntrys_token" not in str(wrong.value)


def test_a_token_that_is_not_accepted_names_what_it_needs(server):
    with pytest.raises(Denied, match="event:read"):
        poller(server.http, "wrong").ask(NOW)
