"""AWS CloudWatch: any metric, and the days that ACM's certificates have left. The login is boto3's own affair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from byteport.errors import Denied, Permanent, Transient
from byteport.model.facts.metrics import Figure
from byteport.redaction import redact_text

AT_ONCE = 500  # queries that GetMetricData takes
MOST_SERIES = 2000
PASSING = frozenset(
    ("Throttling", "ThrottlingException", "InternalServiceFault", "ServiceUnavailable", "RequestLimitExceeded")
)
LOGIN = frozenset(
    ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "InvalidClientTokenId", "ExpiredToken")
)


@dataclass(frozen=True)
class CloudWatch:
    """One region. Needs cloudwatch:GetMetricData and cloudwatch:ListMetrics."""

    client: Any

    @classmethod
    def at(cls, region: str, endpoint: str | None = None, patience: timedelta = timedelta(seconds=10)) -> CloudWatch:
        """Raises Permanent where boto3 is not installed (the extra `aws`)."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise Permanent("cloudwatch needs boto3: install byteport[aws]") from None
        seconds = patience.total_seconds()
        config = Config(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1})
        return cls(boto3.client("cloudwatch", region_name=region, endpoint_url=endpoint, config=config))

    def figures(self, asks: Mapping[str, Any], now: datetime) -> Sequence[Figure]:
        """`asks`: namespace, metric, statistic, period_seconds, dimensions ({} for all there are)."""
        period = int(asks["period_seconds"])
        with _translated():
            found = list(self._series(asks))
            if len(found) > MOST_SERIES:
                raise Permanent(f"cloudwatch: {len(found)} series of {asks['metric']}; at most {MOST_SERIES} are read")
            told: list[Figure] = []
            for start in range(0, len(found), AT_ONCE):
                told += self._values(found[start : start + AT_ONCE], asks, period, now)
            return told

    def _series(self, asks: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """The dimensions that are given, or all that the metric has been seen with."""
        if asks["dimensions"]:
            yield dict(asks["dimensions"])
            return
        pages = self.client.get_paginator("list_metrics").paginate(
            Namespace=asks["namespace"], MetricName=asks["metric"]
        )
        for page in pages:
            for metric in page["Metrics"]:
                yield {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}

    def _values(
        self, series: Sequence[Mapping[str, str]], asks: Mapping[str, Any], period: int, now: datetime
    ) -> Iterator[Figure]:
        queries = [
            {
                "Id": f"q{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": asks["namespace"], "MetricName": asks["metric"],
                        "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()],
                    },
                    "Period": period, "Stat": asks["statistic"],
                },
            }
            for number, dimensions in enumerate(series)
        ]  # fmt: skip
        span = {"StartTime": now - timedelta(seconds=3 * period), "EndTime": now, "ScanBy": "TimestampDescending"}
        pages = self.client.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, **span)
        newest: dict[str, Figure] = {}
        for page in pages:
            for told in page["MetricDataResults"]:
                if told["Values"] and told["Id"] not in newest:
                    labels = {**series[int(told["Id"][1:])], "namespace": asks["namespace"], "metric": asks["metric"]}
                    at = told["Timestamps"][0].astimezone(UTC)
                    newest[told["Id"]] = Figure(value=float(told["Values"][0]), at=at, labels=labels)
        yield from newest.values()


@contextmanager
def _translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError:
        raise Denied("cloudwatch: no credentials are to be found") from None
    except ClientError as refusal:
        code = str(refusal.response.get("Error", {}).get("Code", ""))
        told = f"cloudwatch: {code}: {redact_text(str(refusal.response.get('Error', {}).get('Message', '')))[:200]}"
        status = int(refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in LOGIN:
            raise Denied(told) from None
        raise (Transient(told) if code in PASSING or status >= 500 else Permanent(told)) from None
    except BotoCoreError as problem:
        raise Transient(f"cloudwatch: {redact_text(str(problem))[:200]}") from problem
