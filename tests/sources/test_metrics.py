"""Figures of monitoring services: thresholds, and Datadog as it is documented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byteport.adapters.datadog import Datadog
from byteport.errors import BytePortError, Denied, Permanent, Transient
from byteport.model.alert import Alert
from byteport.model.facts.metrics import Figure
from byteport.settings import Settings
from byteport.sources.incoming import Malformed
from byteport.sources.metrics import MetricRule, MetricsPoller
from byteport.wiring_pollers import pollers_of
from tests.http_server import HANGS, Asked, Loopback, Reply, loopback
from tests.remembering import Row

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BUSY = MetricRule("CpuIsBusy", {"query": "avg:system.cpu.user{*} by {host}"}, above=90.0, labels={"team": "shop"})


class Scripted:
    """Answers what a test wrote down for each query."""

    def __init__(self, told: dict[str, Sequence[Figure] | BytePortError]) -> None:
        self.told = told

    def figures(self, asks: Any, now: datetime) -> Sequence[Figure]:
        answer = self.told[str(asks["query"])]
        if isinstance(answer, BytePortError):
            raise answer
        return answer


def figure(value: float, **labels: str) -> Figure:
    return Figure(value=value, at=NOW, labels=labels)


def poller(told: dict[str, Any], *rules: MetricRule) -> Row:
    return Row(MetricsPoller(Scripted(told), "datadog-poller", "datadog", MINUTE, MINUTE, rules))


def test_each_series_over_its_threshold_is_an_alert_and_ends_when_it_is_not():
    told: dict[str, Any] = {BUSY.asks["query"]: [figure(95.5, host="web1"), figure(90.0, host="web2")]}  # type: ignore[dict-item]
    asked = poller(told, BUSY)
    (one,) = asked.ask(NOW)
    assert isinstance(one, Alert)
    assert (one.name, one.labels, one.value) == ("CpuIsBusy", {"host": "web1", "team": "shop"}, 95.5)
    told[str(BUSY.asks["query"])] = [figure(20.0, host="web1"), figure(99.0, host="web2")]
    ended = {(heard.labels["host"], heard.resolved) for heard in asked.ask(NOW + MINUTE) if isinstance(heard, Alert)}
    assert ended == {("web1", True), ("web2", False)}


def test_a_rule_that_cannot_be_read_costs_no_other_and_clears_nothing():
    other = MetricRule("LowDisk", {"query": "q2"}, below=10.0)
    told: dict[str, Any] = {BUSY.asks["query"]: [figure(95.5, host="web1")], "q2": [figure(5.0)]}  # type: ignore[dict-item]
    asked = poller(told, BUSY, other)
    assert len(asked.ask(NOW)) == 2
    told[str(BUSY.asks["query"])] = Transient("slow")
    told["q2"] = [figure(15.0)]
    ended, wrong = asked.ask(NOW + MINUTE)
    assert isinstance(wrong, Malformed)
    assert isinstance(ended, Alert)
    assert (ended.name, ended.resolved) == ("LowDisk", True)
    told["q2"] = Permanent("gone")
    with pytest.raises(Transient, match="slow"):
        asked.ask(NOW + 2 * MINUTE)
    assert asked.memory["seen"]["CpuIsBusy"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([95.0], 0),
        ([95.0, 95.0, 95.0], 0),
        ([50.0, 95.0, 95.0, 95.0, 95.0], 0),
        ([95.0, 95.0, 95.0, 95.0, 95.0, 95.0], 1),
        ([95.0, 95.0, 95.0, 20.0, 95.0, 95.0], 0),
        ([95.0, 95.0, 95.0, 95.0, 95.0, 20.0], 0),
    ],
)
def test_what_must_last_has_lasted_by_the_service_s_own_figures_at_the_first_look(values, told):
    """One figure a minute, the oldest first."""
    dated = [(NOW - number * MINUTE, value) for number, value in enumerate(reversed(values), 2)]
    (at, value), *earlier = dated
    found = Figure(value=value, at=at, earlier=tuple(earlier))
    rule = MetricRule("Busy", {"query": "q"}, above=90.0, sustained=300)
    assert len(poller({"q": [found]}, rule).ask(NOW)) == told


def test_a_series_without_a_figure_has_not_ended():
    told: dict[str, Any] = {str(BUSY.asks["query"]): [figure(95.5, host="web1")]}
    asked = poller(told, BUSY)
    (fired,) = asked.ask(NOW)
    told[str(BUSY.asks["query"])] = []
    assert asked.ask(NOW + MINUTE) == []
    told[str(BUSY.asks["query"])] = [figure(15.0, host="web1")]
    (ended,) = asked.ask(NOW + 2 * MINUTE)
    assert isinstance(fired, Alert)
    assert isinstance(ended, Alert)
    assert (ended.resolved, ended.condition) == (True, fired.condition)


@pytest.mark.parametrize(
    ("days", "threshold"), [(30, "30"), (14.0, "14"), (13.9, "14"), (7, "7"), (0.5, "1"), (-1, "1")]
)
def test_steps_are_reached_from_above(days, threshold):
    rule = MetricRule("Expires", {"query": "q"}, steps=(30.0, 14.0, 7.0, 1.0))
    (one,) = poller({"q": [figure(days)]}, rule).ask(NOW)
    assert isinstance(one, Alert)
    assert one.labels["threshold_days"] == threshold
    assert poller({"q": [figure(30.1)]}, rule).ask(NOW) == []


# -- Datadog ------------------------------------------------------------------------------------------------------------------

KEYS = ("a" * 32, "b" * 40)


def _datadog(asked: Asked) -> Reply:
    if (asked.headers.get("dd-api-key"), asked.headers.get("dd-application-key")) != KEYS:
        return Reply(403, {"errors": ["Forbidden"]})
    if "nonsense" in asked.query["query"]:
        return Reply(200, {"status": "error", "error": "Error parsing query", "series": []})
    newest = (int(asked.query["to"]) - 20) * 1000.0
    points = [[newest - 60_000, 50.0], [newest, 95.0], [newest + 10_000, None]]
    series = {
        "metric": "system.cpu.user",
        "scope": "host:web1",
        "tag_set": ["host:web1", "canary"],
        "pointlist": points,
    }
    empty = {"metric": "system.cpu.user", "scope": "host:web2", "tag_set": ["host:web2"], "pointlist": []}
    return Reply(200, {"status": "ok", "series": [series, empty]})


@pytest.fixture
def datadog() -> Iterator[Loopback]:
    with loopback(_datadog) as server:
        yield server


def reading(server: Loopback, keys: tuple[str, str] = KEYS) -> Datadog:
    return Datadog.at(*keys, server.url, timedelta(seconds=1))


def test_datadog_s_newest_point_of_each_series(datadog):
    (one,) = reading(datadog).figures(BUSY.asks, NOW)
    assert (one.value, one.at) == (95.0, NOW - timedelta(seconds=20))
    assert one.labels == {"host": "web1", "canary": "true", "metric": "system.cpu.user", "scope": "host:web1"}
    span = datadog.asked[0].query
    assert int(span["to"]) - int(span["from"]) == 300


@pytest.mark.parametrize(
    ("instead", "kind", "wait"),
    [
        (Reply(429, {"errors": ["Rate limit"]}, {"X-RateLimit-Reset": "13"}), Transient, 13),
        (Reply(500, "oops"), Transient, None),
        (Reply(200, [1]), Transient, None),
        (HANGS, Transient, None),
    ],
)
def test_what_goes_wrong_with_datadog(datadog, instead, kind, wait):
    datadog.instead.append(instead)
    with pytest.raises(kind) as wrong:
        reading(datadog).figures(BUSY.asks, NOW)
    named = wrong.value.retry_after
    assert (None if named is None else named.total_seconds()) == wait
    assert KEYS[0] not in str(wrong.value)


def answered(*series: dict[str, Any]) -> Sequence[Figure]:
    with loopback(lambda _asked: Reply(200, {"status": "ok", "series": list(series)})) as server:
        return reading(server).figures(BUSY.asks, NOW)


def points(*values: float | None) -> list[list[float | None]]:
    """Twenty seconds apart, the last of which ends now."""
    first = NOW.timestamp() - 20 * len(values)
    return [[(first + 20 * number) * 1000, value] for number, value in enumerate(values)]


def test_datadog_is_asked_for_as_far_back_as_it_must_last():
    whole = {"metric": "m", "pointlist": points(*(float(n) for n in range(30)))}
    with loopback(lambda _asked: Reply(200, {"status": "ok", "series": [whole]})) as server:
        (one,) = reading(server).figures({**BUSY.asks, "for_seconds": 900.0}, NOW)
        span = server.asked[0].query
    assert int(span["to"]) - int(span["from"]) == 1200
    assert (one.value, [value for _, value in one.earlier]) == (29.0, [float(n) for n in range(28, -1, -1)])


def test_a_figure_that_is_still_counted_does_not_count():
    whole = {"metric": "m", "interval": 20, "pointlist": points(50.0, 95.0)}
    late = {"metric": "m", "interval": 40, "pointlist": points(50.0, 95.0)}
    never = {"metric": "m", "interval": 600, "pointlist": points(50.0, 95.0)}
    assert [one.value for one in answered(whole, late, never)] == [95.0, 50.0]


@pytest.mark.parametrize("odd", [None, [], points(None, None), ["x"], [["x", 1.0]], [[1, "x"]], [[1]]])
def test_a_series_without_a_figure_is_left_out(odd):
    assert answered({"metric": "m", "pointlist": odd}) == []


def test_two_series_never_look_like_one():
    tags = (["role:a", "role:b"], ["role:a"], ["canary"], None)
    told = answered(*({"metric": "m", "tag_set": one, "pointlist": points(1.0)} for one in tags))
    assert [one.labels.get("role", "") for one in told] == ["a,b", "a", "", ""]
    assert len({tuple(sorted(one.labels.items())) for one in told}) == 4


def test_datadog_may_not_answer_with_too_much():
    with pytest.raises(Permanent, match="1001 series"):
        answered(*({"metric": "m"} for _ in range(1001)))


def test_datadog_s_refusals(datadog):
    with pytest.raises(Denied, match="timeseries_query"):
        reading(datadog, ("x", "y")).figures(BUSY.asks, NOW)
    with pytest.raises(Permanent, match="Error parsing query"):
        reading(datadog).figures({"query": "nonsense"}, NOW)


# -- by their settings ------------------------------------------------------------------------------------------------------------


def test_all_of_them_by_their_settings():
    told = Settings.model_validate({
        "pollers": {
            "datadog": {"api_key": "k", "application_key": "k", "metrics": [{"name": "Busy", "query": "q", "above": 90}]},
            "cloudwatch": {"eu": {"region": "eu-central-1", "metrics": [
                {"name": "AcmExpires", "namespace": "AWS/CertificateManager", "metric": "DaysToExpiry"}]}},
            "render": {"api_key": "k", "services": {"srv-abc123": "shop"}},
            "tls": {"endpoints": [{"host": "shop.example"}]},
        }
    })  # fmt: skip
    made = pollers_of(told, object())  # type: ignore[arg-type]
    assert {one.name: one.period.total_seconds() for one in made} == dict(told.pollers.periods())
    assert {one.name for one in made} == {"datadog", "cloudwatch eu", "render", "tls"}
    (rule,) = next(one for one in made if one.name == "cloudwatch eu").rules  # type: ignore[attr-defined]
    assert rule.steps == (30.0, 14.0, 7.0, 1.0)
