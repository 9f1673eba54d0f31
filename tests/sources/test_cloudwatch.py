"""CloudWatch by moto's server: every certificate's days, one series by its dimensions, and what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import httpx
import pytest

from byteport.adapters.cloudwatch import CloudWatch
from byteport.embedded import free_port
from byteport.errors import Denied, Permanent, Transient
from byteport.model.alert import Alert
from byteport.sources.metrics import MetricRule, MetricsPoller
from tests.http_server import Reply, loopback
from tests.servers import eventually

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


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
