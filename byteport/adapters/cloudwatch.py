"""AWS CloudWatch: any metric, and the days that ACM's certificates have left. The login is boto3's own affair.

Metric expressions are not used: each series is compared by us.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from byteport.adapters.aws import clients, translated
from byteport.errors import BytePortError, Denied, Permanent, Transient
from byteport.model.facts.metrics import Figure
from byteport.redaction import redact_text

AT_ONCE = 500  # queries that GetMetricData takes
MOST_SERIES = 2000
LEAST_LOOK_BACK = timedelta(minutes=15)  # figures come late
SERVICES = ("cloudwatch", "acm")
ARN = "CertificateArn"


@dataclass(frozen=True)
class CloudWatch:
    """One region. Needs cloudwatch:GetMetricData and cloudwatch:ListMetrics; for the names of certificates also
    acm:DescribeCertificate. Raises Permanent at the first question where boto3 is not installed (the extra `aws`)."""

    region: str
    endpoint: str | None = None
    patience: timedelta = timedelta(seconds=10)
    domains: dict[str, str] = field(default_factory=dict)

    def figures(self, asks: Mapping[str, Any], now: datetime) -> Sequence[Figure]:
        """`asks`: namespace, metric, statistic, period_seconds, dimensions ({} for all there are), and
        look_back_seconds, within which the newest figure lies; a series without one is left out. `for_seconds` widens
        it. Only periods that are over count: the sum of one that goes on is too small."""
        found = self._series(asks)
        told: list[Figure] = []
        for start in range(0, len(found), AT_ONCE):
            told += self._values(found[start : start + AT_ONCE], asks, now)
        return told

    def domain(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """For a series of a certificate `domain`, the name it was made for, and `instance`: that or, where nobody may
        ask for it, its ARN. Nothing for other series."""
        arn = labels.get(ARN)
        if arn is None:
            return {}
        try:
            known = self.domains.get(arn) or self._domain(arn)
        except BytePortError:
            return {"instance": arn}
        return {"domain": self.domains.setdefault(arn, known), "instance": known} if known else {"instance": arn}

    def _domain(self, arn: str) -> str:
        acm = self._clients["acm"]
        with translated("acm:DescribeCertificate"):
            return str(acm.describe_certificate(CertificateArn=arn)["Certificate"].get("DomainName") or "")

    def _series(self, asks: Mapping[str, Any]) -> Sequence[dict[str, str]]:
        """The dimensions that are given, or all that the metric has been seen with in the last two weeks."""
        if asks["dimensions"]:
            return [dict(asks["dimensions"])]
        named = {"Namespace": asks["namespace"], "MetricName": asks["metric"]}
        found: set[tuple[tuple[str, str], ...]] = set()
        lister = self._clients["cloudwatch"].get_paginator("list_metrics")
        with translated("cloudwatch:ListMetrics"):
            for page in lister.paginate(**named):
                found |= {
                    tuple((one["Name"], one["Value"]) for one in metric["Dimensions"]) for metric in page["Metrics"]
                }
                if len(found) > MOST_SERIES:
                    raise Permanent(f"cloudwatch: more than {MOST_SERIES} series of {asks['metric']}: that is too many")
        return [dict(one) for one in sorted(found)]

    def _values(self, series: Sequence[Mapping[str, str]], asks: Mapping[str, Any], now: datetime) -> Iterator[Figure]:
        span = {**_span(asks, now), "ScanBy": "TimestampDescending"}
        queries = [_query(number, dimensions, asks) for number, dimensions in enumerate(series)]
        points: dict[str, list[tuple[datetime, float]]] = {}
        reader = self._clients["cloudwatch"].get_paginator("get_metric_data")
        with translated("cloudwatch:GetMetricData"):
            for page in reader.paginate(MetricDataQueries=queries, **span):
                for told in page["MetricDataResults"]:
                    points.setdefault(told["Id"], []).extend(_points(told))
        for number, dimensions in enumerate(series):
            if found := sorted(points.get(f"q{number}", ()), reverse=True):
                labels = {**dimensions, "namespace": asks["namespace"], "metric": asks["metric"]}
                (at, value), *earlier = found
                yield Figure(value=value, at=at, earlier=tuple(earlier), labels=labels)

    @cached_property
    def _clients(self) -> Mapping[str, Any]:
        return clients(SERVICES, self.region, self.patience, endpoint_url=self.endpoint)


def _span(asks: Mapping[str, Any], now: datetime) -> dict[str, datetime]:
    """Whole periods that are over."""
    period = int(asks["period_seconds"])
    until = datetime.fromtimestamp(now.timestamp() // period * period, UTC)
    look_back = max(asks.get("look_back_seconds") or 3 * period, asks.get("for_seconds", 0) + 3 * period)
    return {"StartTime": until - max(timedelta(seconds=look_back), LEAST_LOOK_BACK), "EndTime": until}


def _query(number: int, dimensions: Mapping[str, str], asks: Mapping[str, Any]) -> dict[str, Any]:
    metric = {
        "Namespace": asks["namespace"], "MetricName": asks["metric"],
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }  # fmt: skip
    stat = {"Metric": metric, "Period": int(asks["period_seconds"]), "Stat": asks["statistic"]}
    return {"Id": f"q{number}", "MetricStat": stat}


def _points(told: Mapping[str, Any]) -> list[tuple[datetime, float]]:
    """One series' part of a page. Raises what CloudWatch says of that series alone."""
    status = told.get("StatusCode", "Complete")
    if status in ("Forbidden", "InternalError"):
        said = redact_text("; ".join(str(one.get("Value")) for one in told.get("Messages", [])))[:200]
        raise (Denied if status == "Forbidden" else Transient)(f"cloudwatch: {status}: {said}")
    return [(at.astimezone(UTC), float(value)) for at, value in zip(told["Timestamps"], told["Values"], strict=True)]
