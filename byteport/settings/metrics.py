"""Figures of monitoring services that BytePort asks for, and their thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from byteport.model.signal import Severity
from byteport.model.target import Key, Text
from byteport.settings.channels import HttpUrl
from byteport.settings.section import Section

Seconds = Annotated[float, Field(gt=0, le=86_400)]
RuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class SentrySection(Section):
    """Sentry: the organisation, and how to read there."""

    SECRETS: ClassVar[tuple[str, ...]] = ("token",)

    org: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,64}$")] = ""
    """The organisation's slug."""
    token: SecretStr | None = None
    """Token with org:read, project:read and event:read, and nothing that writes."""
    token_file: Path | None = None
    """File that holds `token`."""
    api_url: HttpUrl = "https://sentry.io"
    """Where it answers; https://de.sentry.io, or your own."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.token is not None or self.token_file is not None) and not self.org:
            raise ValueError("org is required with token")
        return self


class SentryPollerSection(Section):
    """Issues whose errors spike, asked for. Needs `sentry.token`."""

    enabled: bool = False
    """Whether it runs."""
    projects: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")], ...] = Field(
        default=(), max_length=100
    )
    """Slugs of projects; not given: all of the organisation."""
    window_seconds: float = Field(default=300.0, ge=300, le=3600, multiple_of=300)
    """What counts as now."""
    spike_multiplier: float = Field(default=2.0, ge=1.1, le=100)
    """Times the issue's own mean over 24 h from which it is a spike."""
    period: Seconds = 60.0
    """Seconds between two looks."""
    timeout: Seconds = 10.0
    """Seconds that one answer may take."""


class ThresholdSection(Section):
    """A figure of a monitoring service, and from where on it is told."""

    name: RuleName
    """The alert's name, which routes read as `alertname`."""
    above: float | None = None
    """Told while it is above."""
    below: float | None = None
    """Told while it is below."""
    for_seconds: float = Field(default=0.0, ge=0, le=86_400)
    """Seconds that it must last before it is told."""
    severity: Severity = Severity.WARNING
    """How severe it is."""
    labels: dict[Key, Text] = Field(default_factory=dict, max_length=32)
    """Labels besides the series' own."""

    @property
    def steps(self) -> tuple[float, ...]:
        """Thresholds of which the smallest reached is told; none for a plain figure."""
        return ()

    @model_validator(mode="after")
    def _a_threshold(self) -> Self:
        if (self.above is None) is (self.below is None) and not self.steps:
            raise ValueError("above or below: one of the two")
        return self


class DatadogMetricSection(ThresholdSection):
    """A query of Datadog's."""

    query: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """As in a monitor: avg:system.cpu.user{env:prod} by {host}."""


class DatadogPollerSection(Section):
    """Datadog's metrics, asked."""

    SECRETS: ClassVar[tuple[str, ...]] = ("api_key", "application_key")

    api_key: SecretStr | None = None
    """API key."""
    api_key_file: Path | None = None
    """File that holds `api_key`."""
    application_key: SecretStr | None = None
    """Application key with timeseries_query."""
    application_key_file: Path | None = None
    """File that holds `application_key`."""
    api_url: HttpUrl = "https://api.datadoghq.com"
    """Where the API of your site answers."""
    metrics: tuple[DatadogMetricSection, ...] = Field(default=(), max_length=200)
    """What is asked."""
    period: Seconds = 60.0
    """Seconds between two looks."""
    timeout: Seconds = 10.0
    """Seconds that one answer may take."""

    @model_validator(mode="after")
    def _can_ask(self) -> Self:
        keys = [self.api_key or self.api_key_file, self.application_key or self.application_key_file]
        if self.metrics and not all(keys):
            raise ValueError("api_key and application_key are required with metrics")
        return self


class CloudWatchMetricSection(ThresholdSection):
    """A metric of CloudWatch's."""

    namespace: Annotated[str, StringConstraints(pattern=r"^[^:].{0,254}$")]
    """AWS/RDS, AWS/CertificateManager …"""
    metric: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    """CPUUtilization, DaysToExpiry …"""
    statistic: Annotated[str, StringConstraints(min_length=1, max_length=20)] = "Average"
    """Average, Minimum, Maximum, Sum, p99 …"""
    period_seconds: int = Field(default=300, ge=60, le=86_400, multiple_of=60)
    """What one figure covers. Only periods that are over count."""
    look_back_seconds: int | None = Field(default=None, ge=60, le=1_209_600)
    """How old the newest figure may be; not given: three periods, and two days for DaysToExpiry, which comes twice a
    day. A series without a figure is unknown: it neither fires nor ends."""
    dimensions: dict[Key, Text] = Field(default_factory=dict, max_length=30)
    """Of the one series; not given: every series of the metric."""

    @property
    def look_back(self) -> int:
        """In seconds."""
        usual = 2 * 86_400 if self.metric == "DaysToExpiry" else 3 * self.period_seconds
        return self.look_back_seconds or usual

    @property
    def steps(self) -> tuple[float, ...]:
        """ACM's days are told at 30, 14, 7 and 1, unless a threshold is given."""
        plain = self.above is not None or self.below is not None
        return () if plain or self.metric != "DaysToExpiry" else (30.0, 14.0, 7.0, 1.0)


class CloudWatchPollerSection(Section):
    """CloudWatch of one region, asked with the login that boto3 finds. Needs the extra `aws`, and the rights
    cloudwatch:GetMetricData and cloudwatch:ListMetrics; for the names of certificates also acm:DescribeCertificate."""

    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
    """eu-central-1 …"""
    endpoint_url: HttpUrl | None = None
    """Where the API answers, if elsewhere."""
    metrics: tuple[CloudWatchMetricSection, ...] = Field(min_length=1, max_length=200)
    """What is asked."""
    period: Seconds = 300.0
    """Seconds between two looks."""
    timeout: Seconds = 10.0
    """Seconds that one answer may take."""
