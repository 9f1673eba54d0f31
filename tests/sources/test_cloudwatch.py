"""CloudWatch by moto's server: every certificate's days, one series by its dimensions, and what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import httpx
import pytest

from byteport.adapters.cloudwatch import AT_ONCE, CloudWatch
from byteport.errors import Denied, Permanent, Transient
from byteport.model.alert import Alert
from byteport.settings import Settings
from byteport.sources.metrics import MetricRule, MetricsPoller
from byteport.wiring_pollers import pollers_of
from tests.http_server import HANGS, Reply, loopback
from tests.moto_server import running
from tests.remembering import Row
from tests.sources.test_default_routes import route_of

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def cloudwatch(aws: str, monkeypatch) -> CloudWatch:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    httpx.post(f"{aws}/moto-api/reset").raise_for_status()
    return CloudWatch("eu-central-1", aws)


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
    (one,) = MetricsPoller(cloudwatch, "cloudwatch", "cloudwatch eu", MINUTE, MINUTE, (rule,)).look(now, {}).heard
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


def test_certificate_manager_s_days_are_found_although_they_come_twice_a_day(cloudwatch, aws):
    """By the settings as people write them, with nothing but the names."""
    now = datetime.now(UTC)
    put(aws, now - timedelta(hours=13), shop=6.0)
    rules = {"name": "AcmExpires", "namespace": "AWS/CertificateManager", "metric": "DaysToExpiry"}
    told = {"cloudwatch": {"eu": {"region": "eu-central-1", "endpoint_url": aws, "metrics": [rules]}}}
    (made,) = pollers_of(Settings.model_validate({"pollers": told}), object())  # type: ignore[arg-type]
    asked = Row(made)
    for hours in (0, 8, 16):
        (one,) = asked.ask(now + timedelta(hours=hours))
        assert isinstance(one, Alert)
        assert (one.resolved, one.labels["threshold_days"]) == (False, "7")
    assert list(asked.ask(now + timedelta(hours=60))) == [], "what is no longer told of has not been renewed"
    put(aws, now + timedelta(hours=61), shop=395.0)
    (ended,) = asked.ask(now + timedelta(hours=62))
    assert isinstance(ended, Alert)
    assert ended.resolved


def test_a_certificate_is_told_by_the_name_that_it_was_made_for(cloudwatch, aws):
    acm = boto3.client("acm", region_name="eu-central-1", endpoint_url=aws)
    arn = acm.request_certificate(DomainName="Shop.example", ValidationMethod="DNS")["CertificateArn"]
    gone = arn[:-4] + "0000"
    cloudwatch_client(aws).put_metric_data(
        Namespace=ACM["namespace"],
        MetricData=[
            {
                "MetricName": ACM["metric"], "Timestamp": datetime.now(UTC) - timedelta(minutes=90), "Value": 12.0,
                "Dimensions": [{"Name": "CertificateArn", "Value": one}],
            }
            for one in (arn, gone)
        ],
    )  # fmt: skip
    rule = MetricRule("AcmExpires", ACM, steps=(30.0, 14.0, 7.0, 1.0))
    asked = MetricsPoller(cloudwatch, "cloudwatch", "cloudwatch eu", MINUTE, MINUTE, (rule,), cloudwatch.domain)
    heard = asked.look(datetime.now(UTC), {}).heard
    assert {route_of(one) for one in heard if isinstance(one, Alert)} == {
        ("ssl_cert_expiring", "domain:shop.example"),
        ("ssl_cert_expiring", f"domain:{gone}"),
    }
    assert cloudwatch.domains == {arn: "Shop.example"}
    assert cloudwatch.domain({"DBInstanceIdentifier": "db1"}) == {}


def test_a_period_that_goes_on_does_not_count(cloudwatch, aws):
    now = datetime(2026, 11, 26, 10, 4, 30, tzinfo=UTC)
    for minutes_ago, value in ((8, 70.0), (2, 3.0)):
        cloudwatch_client(aws).put_metric_data(
            Namespace="Shop",
            MetricData=[{"MetricName": "Orders", "Timestamp": now - minutes_ago * MINUTE, "Value": value}],
        )
    asks = {"namespace": "Shop", "metric": "Orders", "statistic": "Sum", "period_seconds": 300, "dimensions": {}}
    (one,) = cloudwatch.figures(asks, now)
    assert (one.value, one.at) == (70.0, now.replace(minute=55, hour=9, second=0))
    (later,) = cloudwatch.figures(asks, now + MINUTE)
    assert later.value == 3.0


def test_what_must_last_is_asked_for_as_far_back(cloudwatch, aws):
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    for minutes_ago in range(1, 31):
        cloudwatch_client(aws).put_metric_data(
            Namespace="Shop",
            MetricData=[{"MetricName": "Used", "Timestamp": now - minutes_ago * MINUTE, "Value": 100.0 - minutes_ago}],
        )
    asks = {"namespace": "Shop", "metric": "Used", "statistic": "Average", "period_seconds": 60, "dimensions": {}}
    heard = {}
    for wait in (240.0, 1200.0):
        rule = MetricRule("Full", {**asks, "for_seconds": wait}, above=90.0, sustained=wait)
        heard[wait] = (
            MetricsPoller(cloudwatch, "cloudwatch", "cloudwatch eu", MINUTE, MINUTE, (rule,)).look(now, {}).heard
        )
    assert [len(told) for told in heard.values()] == [1, 0], "above 90 for nine minutes"
    (one,) = cloudwatch.figures({**asks, "for_seconds": 1200.0}, now)
    assert len(one.earlier) >= 20


def test_more_series_than_one_call_takes_are_asked_for_in_several(cloudwatch, aws):
    now, client = datetime.now(UTC), cloudwatch_client(aws)
    data = [
        {
            "MetricName": "Used", "Timestamp": now - 5 * MINUTE, "Value": float(number),
            "Dimensions": [{"Name": "Disk", "Value": f"d{number}"}],
        }
        for number in range(AT_ONCE + 1)
    ]  # fmt: skip
    for start in range(0, len(data), 500):
        client.put_metric_data(Namespace="Shop", MetricData=data[start : start + 500])
    asks = {"namespace": "Shop", "metric": "Used", "statistic": "Average", "period_seconds": 60, "dimensions": {}}
    told = cloudwatch.figures(asks, now)
    assert {one.labels["Disk"]: one.value for one in told} == {f"d{n}": float(n) for n in range(AT_ONCE + 1)}


def cloudwatch_client(aws: str):
    return boto3.client("cloudwatch", region_name="eu-central-1", endpoint_url=aws)


# -- when something is wrong ------------------------------------------------------------------------------------------------------


def refusal(code: str, status: int = 400) -> Reply:
    body = {"__type": code, "message": "no", "Error": {"Code": code, "Message": "no"}}
    return Reply(status, body, {"x-amzn-query-error": f"{code};Sender"})


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (refusal("ThrottlingException"), Transient, "Throttling"),
        (refusal("InternalFailure", 500), Transient, "InternalFailure"),
        (Reply(503, "busy"), Transient, "aws: "),
        (refusal("AccessDeniedException"), Denied, "cloudwatch:ListMetrics"),
        (refusal("ExpiredTokenException", 403), Denied, "cloudwatch:ListMetrics"),
        (refusal("UnrecognizedClientException", 403), Denied, "cloudwatch:ListMetrics"),
        (refusal("ValidationError"), Permanent, "ValidationError"),
        (HANGS, Transient, "timeout"),
    ],
)
def test_what_aws_refuses_is_told_in_our_words_and_asked_for_once(cloudwatch, reply, error, words):
    with loopback(lambda _asked: Reply(500, "")) as server:
        server.instead.append(reply)
        with pytest.raises(error, match=words):
            CloudWatch("eu-central-1", server.url, timedelta(seconds=0.5)).figures(ACM, NOW)
        assert len(server.asked) == 1


def test_nobody_there_is_transient(cloudwatch):
    with pytest.raises(Transient):
        CloudWatch("eu-central-1", "http://127.0.0.1:1", timedelta(seconds=1)).figures(ACM, NOW)


def test_who_is_not_logged_in_is_told_so(aws, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Denied, match="cloudwatch:ListMetrics"):
        CloudWatch("eu-central-1", aws).figures(ACM, NOW)


WITHOUT = """
import sys
sys.modules["boto3"] = None
from datetime import UTC, datetime
from byteport.errors import Permanent
from byteport.settings import Settings
from byteport.wiring_pollers import pollers_of
metric = {"name": "Few", "namespace": "Shop", "metric": "Orders", "below": 1}
(poller,) = pollers_of(Settings.model_validate(
    {"pollers": {"cloudwatch": {"eu": {"region": "eu-central-1", "metrics": [metric]}}}}), None)
try:
    poller.look(datetime.now(UTC), {})
except Permanent as wrong:
    print(wrong)
"""


def test_without_boto3_that_poller_says_what_is_missing_and_the_others_are_made():
    told = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "boto3 is not installed: pip install 'byteport[aws]'"
