"""Answers of Prometheus' API that no real one gives on demand: in part, too many, too large, none at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byteport.adapters.http_api import HttpApi
from byteport.adapters.prometheus import Prometheus, refused
from byteport.errors import Denied, Permanent, Transient
from byteport.model.alert import Alert
from byteport.model.facts.prometheus import Run
from byteport.sources.incoming import Malformed
from byteport.sources.prometheus import PrometheusPoller, PromqlRule, held_since
from tests.http_server import HANGS, Asked, Reply, loopback
from tests.remembering import Row

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
SOON = timedelta(seconds=1)
FULL = PromqlRule("Full", "used > 90")


def vector(*hosts: str, **more: Any) -> Reply:
    result = [{"metric": {"host": host}, "value": [NOW.timestamp(), "95"]} for host in hosts]
    return Reply(200, {"status": "success", "data": {"resultType": "vector", "result": result}, **more})


def always(reply: Reply) -> Callable[[Asked], Reply]:
    return lambda _asked: reply


def reading(url: str) -> Prometheus:
    return Prometheus(HttpApi("prometheus", url, {"X-Scope-OrgID": "shop"}, SOON, refused=refused))


def poller(url: str) -> Row:
    return Row(PrometheusPoller(reading(url), "prometheus main", timedelta(seconds=30), SOON, False, [FULL]))


def test_what_is_missing_in_a_part_of_an_answer_has_not_ended():
    """Thanos answers without the series of a store that is away, and says so in a warning."""
    with loopback(always(vector("a", "b"))) as server:
        asked = poller(server.url)
        assert len(asked.ask(NOW)) == 2
        server.answer = always(vector("b", warnings=["fetch series: store sidecar-1 is away"]))
        fires, partly = asked.ask(NOW)
        assert isinstance(fires, Alert)
        assert (fires.labels["host"], fires.resolved) == ("b", False)
        assert isinstance(partly, Malformed)
        assert (partly.field, "sidecar-1" in partly.expected) == ("rule Full", True)
        server.answer = always(vector("b"))
        (ended,) = [one for one in asked.ask(NOW) if isinstance(one, Alert) and one.resolved]
        assert ended.labels["host"] == "a"
        assert {asked.headers["x-scope-orgid"] for asked in server.asked} == {"shop"}


def test_a_warning_about_how_a_query_is_written_misses_nothing():
    with loopback(always(vector("a"))) as server:
        asked = poller(server.url)
        asked.ask(NOW)
        server.answer = always(vector(warnings=["PromQL warning: quantile value should be between 0 and 1"]))
        (ended,) = asked.ask(NOW)
        assert isinstance(ended, Alert)
        assert ended.resolved


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (vector(*(f"h{n}" for n in range(1001))), Permanent, "1001 series"),
        (Reply(200, b"[" + b" " * (8 * 1024 * 1024) + b"]"), Permanent, "larger than"),
        (Reply(503, "Service Unavailable"), Transient, "503"),
        (Reply(503, {"status": "error", "errorType": "timeout", "error": "query timed out"}), Transient, "timed out"),
        (Reply(422, {"status": "error", "errorType": "execution", "error": "many-to-many"}), Permanent, "execution"),
        (Reply(401, "Unauthorized"), Denied, "401"),
        (Reply(200, {"status": "success", "data": []}), Transient, "not Prometheus'"),
        (Reply(200, "<html>"), Transient, "no JSON"),
        (Reply(302, "", {"Location": "https://login.example/"}), Transient, "no JSON"),
    ],
)
def test_an_answer_that_is_none_clears_nothing(reply, error, words):
    with loopback(always(vector("a"))) as server:
        asked = poller(server.url)
        asked.ask(NOW)
        server.answer = always(reply)
        with pytest.raises(error, match=words):
            asked.ask(NOW)
        server.answer = always(vector("a"))
        (still,) = asked.ask(NOW)
        assert isinstance(still, Alert)
        assert not still.resolved


def test_one_that_hangs_is_transient():
    with loopback(always(vector("a"))) as server:
        server.instead.append(HANGS)
        with pytest.raises(Transient):
            poller(server.url).ask(NOW)


def test_more_pending_alerts_than_are_read_keep_none_that_fires_from_being_told():
    def alert(state: str, number: int) -> dict[str, Any]:
        labels = {"alertname": "Full", "host": f"h{number}"}
        return {
            "labels": labels,
            "annotations": {},
            "state": state,
            "activeAt": "2026-11-26T09:00:00Z",
            "value": "1e+00",
        }

    told = [*(alert("pending", number) for number in range(1500)), alert("firing", 1500)]
    with loopback(always(Reply(200, {"status": "success", "data": {"alerts": told}}))) as server:
        assert [one.labels["host"] for one in reading(server.url).alerts()] == ["h1500"]


# -- for how long it has been so ------------------------------------------------------------------------------------------------

STEP = timedelta(seconds=10)
LASTING = PromqlRule("Full", "used > 90", sustained=60)


@pytest.mark.parametrize(
    ("ago", "since"),
    [((60, 50, 40, 30, 20, 10, 0), 60), ((60, 50, 30, 20, 10, 0), 30), ((60, 50, 40), 0), ((), 0), ((65, 55, 45, 35, 25, 15, 5), 65)],
)  # fmt: skip
def test_a_series_holds_since_the_last_step_without_it(ago, since):
    run = Run(labels={}, points=tuple((NOW - timedelta(seconds=seconds), 1.0) for seconds in ago))
    assert held_since(run, STEP, NOW) == NOW - timedelta(seconds=since)


def remembering(*ago: float) -> Callable[[Asked], Reply]:
    """One series that fires now and has been there so many seconds ago."""

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/query"):
            return vector("a")
        values = [[NOW.timestamp() - seconds, "95"] for seconds in ago]
        result = [{"metric": {"__name__": "used", "host": "a"}, "values": values}]
        return Reply(200, {"status": "success", "data": {"resultType": "matrix", "result": result}})

    return answer


def lasting(url: str) -> Row:
    return Row(PrometheusPoller(reading(url), "prometheus main", timedelta(seconds=30), SOON, False, [LASTING]))


def test_what_has_held_for_long_enough_is_told_at_the_first_look():
    with loopback(remembering(*range(65, -1, -5))) as server:
        asked = lasting(server.url)
        (fired,) = asked.ask(NOW)
        assert isinstance(fired, Alert)
        asked.ask(NOW + timedelta(seconds=30))
        assert [one.path for one in server.asked] == ["/api/v1/query", "/api/v1/query_range", "/api/v1/query"]
        assert (float(server.asked[1].query["end"]), server.asked[1].query["step"]) == (NOW.timestamp(), "5")


def test_what_flaps_is_told_only_when_it_has_held_since():
    with loopback(remembering(60, 55, 50, *range(30, -1, -5))) as server:
        asked = lasting(server.url)
        assert asked.ask(NOW) == []
        assert asked.ask(NOW + timedelta(seconds=29)) == []
        (fired,) = asked.ask(NOW + timedelta(seconds=30))
        assert isinstance(fired, Alert)


def test_where_prometheus_does_not_remember_it_begins_now():
    for forgetful in (remembering(), lambda asked: vector("a") if asked.path.endswith("/query") else Reply(503, "no")):
        with loopback(forgetful) as server:
            asked = lasting(server.url)
            assert [len(asked.ask(NOW + timedelta(seconds=s))) for s in (0, 30, 59, 60)] == [0, 0, 0, 1]


def test_after_a_gap_in_the_looking_prometheus_is_asked_again():
    with loopback(remembering(0)) as server:
        asked = lasting(server.url)
        assert asked.ask(NOW) == []
        assert asked.ask(NOW + timedelta(hours=1)) == [], "seen twice in an hour is not an hour"
        assert [one.path for one in server.asked].count("/api/v1/query_range") == 2


def test_what_does_not_have_to_last_needs_no_memory():
    with loopback(always(vector("a"))) as server:
        assert len(poller(server.url).ask(NOW)) == 1
        assert [one.path for one in server.asked] == ["/api/v1/query"]
