"""Figures of monitoring services: Datadog and Render as they are documented, CloudWatch by moto's server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import httpx
import pytest

from byteport.adapters.cloudwatch import CloudWatch
from byteport.adapters.datadog import Datadog
from byteport.adapters.render import Render
from byteport.embedded import free_port
from byteport.errors import BytePortError, Denied, NotFound, Permanent, Transient
from byteport.model.alert import Alert
from byteport.model.facts.metrics import Figure
from byteport.model.facts.render import Deploy
from byteport.settings import Settings
from byteport.sources.incoming import Malformed
from byteport.sources.metrics import MetricRule, MetricsPoller
from byteport.sources.render import RenderPoller, alerts_of
from byteport.wiring_pollers import pollers_of
from tests.http_server import HANGS, Asked, Loopback, Reply, loopback
from tests.servers import eventually

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


def poller(told: dict[str, Any], *rules: MetricRule) -> MetricsPoller:
    return MetricsPoller(Scripted(told), "datadog-poller", "datadog", MINUTE, MINUTE, rules)


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
    told["q2"] = []
    wrong, ended = asked.ask(NOW + MINUTE)
    assert isinstance(wrong, Malformed)
    assert isinstance(ended, Alert)
    assert (ended.name, ended.resolved) == ("LowDisk", True)
    told["q2"] = Permanent("gone")
    with pytest.raises(Permanent):
        asked.ask(NOW + 2 * MINUTE)
    assert asked.memory["CpuIsBusy"]


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


def test_datadog_s_refusals(datadog):
    with pytest.raises(Denied):
        reading(datadog, ("x", "y")).figures(BUSY.asks, NOW)
    with pytest.raises(Permanent, match="Error parsing query"):
        reading(datadog).figures({"query": "nonsense"}, NOW)


# -- CloudWatch ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        url = f"http://127.0.0.1:{port}"
        try:
            eventually(lambda: _answers(url), within=60)
            yield url
        finally:
            server.terminate()
            server.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/moto-api/", timeout=2).status_code < 500
    except httpx.HTTPError:
        return False


@pytest.fixture
def cloudwatch(aws: str, monkeypatch) -> CloudWatch:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    httpx.post(f"{aws}/moto-api/reset").raise_for_status()
    return CloudWatch.at("eu-central-1", aws)


def put(aws: str, at: datetime, **days: float) -> None:
    client = boto3.client("cloudwatch", region_name="eu-central-1", endpoint_url=aws)
    data = [
        {
            "MetricName": "DaysToExpiry",
            "Dimensions": [{"Name": "CertificateArn", "Value": f"arn:{name}"}],
            "Timestamp": at,
            "Value": value,
        }
        for name, value in days.items()
    ]
    client.put_metric_data(Namespace="AWS/CertificateManager", MetricData=data)


ACM = {
    "namespace": "AWS/CertificateManager",
    "metric": "DaysToExpiry",
    "statistic": "Minimum",
    "period_seconds": 3600,
    "dimensions": {},
}


def test_the_days_that_every_certificate_has_left(cloudwatch, aws):
    now = datetime.now(UTC)
    put(aws, now - timedelta(minutes=90), shop=12.0, pay=200.0)
    rule = MetricRule("AcmExpires", ACM, steps=(30.0, 14.0, 7.0, 1.0))
    (one,) = MetricsPoller(cloudwatch, "cloudwatch", "cloudwatch eu", MINUTE, MINUTE, (rule,)).ask(now)
    assert isinstance(one, Alert)
    assert (one.labels["CertificateArn"], one.labels["threshold_days"], one.value) == ("arn:shop", "14", 12.0)
    assert (one.labels["metric"], one.labels["namespace"]) == ("DaysToExpiry", "AWS/CertificateManager")


def test_one_series_by_its_dimensions_and_none_without_figures(cloudwatch, aws):
    now = datetime.now(UTC)
    put(aws, now - timedelta(minutes=90), shop=12.0, pay=200.0)
    (one,) = cloudwatch.figures({**ACM, "dimensions": {"CertificateArn": "arn:pay"}}, now)
    assert one.value == 200.0
    assert cloudwatch.figures({**ACM, "dimensions": {"CertificateArn": "arn:gone"}}, now) == []
    assert cloudwatch.figures({**ACM, "metric": "Unheard"}, now) == []
    assert cloudwatch.figures(ACM, now + timedelta(hours=9)) == [], "figures that are too old are none"


def test_what_goes_wrong_with_cloudwatch(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with pytest.raises(Transient):
        CloudWatch.at("eu-central-1", "http://127.0.0.1:1", timedelta(seconds=1)).figures(ACM, NOW)
    body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    with (
        loopback(
            lambda _asked: Reply(403, body, {"Content-Type": "text/xml", "x-amzn-query-error": "AccessDenied;Sender"})
        ) as server,
        pytest.raises((Denied, Permanent)),
    ):
        CloudWatch.at("eu-central-1", server.url, timedelta(seconds=1)).figures(ACM, NOW)


# -- Render --------------------------------------------------------------------------------------------------------------------


def deploy(status: str, minutes_ago: float, id_: str = "dep-1") -> Deploy:
    at = NOW - timedelta(minutes=minutes_ago)
    return Deploy(id=id_, status=status, created_at=at, finished_at=at)


@pytest.mark.parametrize(
    ("deploys", "told"),
    [
        ([deploy("build_failed", 5)], [("render_deploy_failed", False)]),
        ([deploy("update_failed", 5), deploy("live", 90, "dep-0")], [("render_deploy_failed", False)]),
        ([deploy("live", 2, "dep-2"), deploy("build_failed", 9)], [("render_deploy_failed", True)]),
        ([deploy("live", 2)], []),
        ([deploy("canceled", 2, "dep-2"), deploy("live", 9)], []),
        ([deploy("build_in_progress", 1, "dep-2"), deploy("pre_deploy_failed", 9)], [("render_deploy_failed", False)]),
        ([deploy("build_failed", 600)], []),
        ([], []),
    ],
)
def test_the_newest_deploy_decides(deploys, told):
    assert [(one.name, one.resolved) for one in alerts_of("srv-1", "shop", deploys, NOW)] == told


def test_render_is_asked_for_each_service_and_one_that_is_gone_costs_no_other():
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != "Bearer rnd_key":
            return Reply(401, {"message": "Unauthorized"})
        if "srv-gone" in asked.path:
            return Reply(404, {"message": "not found: service"})
        told = {"id": "dep-1", "status": "build_failed", "trigger": "new_commit", "commit": {"id": "a" * 40},
                "createdAt": "2026-11-26T09:50:00Z", "finishedAt": "2026-11-26T09:55:00Z"}  # fmt: skip
        return Reply(200, [{"deploy": told, "cursor": "x"}])

    with loopback(answer) as server:
        asked = RenderPoller(Render.at("rnd_key", server.url), (("srv-1", "shop"), ("srv-gone", "old")), MINUTE, MINUTE)
        failed, gone = asked.ask(NOW)
        with pytest.raises(NotFound):
            RenderPoller(asked.render, (("srv-gone", "old"),), MINUTE, MINUTE).ask(NOW)
        with pytest.raises(Denied):
            Render.at("wrong", server.url).deploys("srv-1")
        server.instead.append(Reply(200, [{"cursor": "x"}]))
        with pytest.raises(Permanent, match="not known here"):
            asked.render.deploys("srv-1")
    assert isinstance(failed, Alert)
    assert (failed.labels["service_id"], failed.labels["commit"], failed.labels["trigger"]) == (
        "srv-1",
        "a" * 40,
        "new_commit",
    )
    assert failed.fired_at == NOW - timedelta(minutes=5)
    assert isinstance(gone, Malformed)


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
