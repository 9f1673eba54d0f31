"""The sources that BytePort asks by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from byteport.model.signal import Severity
from byteport.model.target import Key, Text
from byteport.settings.channels import HttpUrl
from byteport.settings.hosts import VitalsPollerSection
from byteport.settings.metrics import (
    CloudWatchPollerSection,
    DatadogPollerSection,
    RuleName,
    Seconds,
    SentryPollerSection,
)  # fmt: skip
from byteport.settings.section import Section

PollerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
Repository = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")]


class DatabasePollerSection(Section):
    """Asks every configured database how much of its connections is used."""

    enabled: bool = True
    """Whether it runs."""
    period: Seconds = 10.0
    """Seconds between two looks."""
    threshold: float = Field(default=0.90, gt=0.0, le=1.0)
    """Share of the usable connections from which the signal is given."""
    sustained: float = Field(default=60.0, ge=0, le=3600)
    """Seconds that it must last before the signal is given."""


class HttpSourceSection(Section):
    """A server that is asked over HTTP, and how to log in there."""

    SECRETS: ClassVar[tuple[str, ...]] = ("token", "password")

    url: HttpUrl
    """Where it answers."""
    token: SecretStr | None = None
    """Bearer token."""
    token_file: Path | None = None
    """File that holds `token`."""
    username: str = Field(default="", max_length=200)
    """For basic authentication, with `password`."""
    password: SecretStr | None = None
    """Of `username`."""
    password_file: Path | None = None
    """File that holds `password`."""
    headers: dict[Key, Text] = Field(default_factory=dict, max_length=16)
    """Further headers (X-Scope-OrgID). Nothing secret: they are shown."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""
    period: Seconds = 30.0
    """Seconds between two looks."""
    timeout: Seconds = 10.0
    """Seconds that one answer may take."""

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        has_token = self.token is not None or self.token_file is not None
        has_password = self.password is not None or self.password_file is not None
        if has_token and (self.username or has_password):
            raise ValueError("either token, or username and password")
        if bool(self.username) is not has_password:
            raise ValueError("username and password go together")
        return self


class PromqlRuleSection(Section):
    """A rule of yours: every series that the expression returns is an alert."""

    name: RuleName
    """The alert's name, which routes read as `alertname`."""
    expr: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """PromQL that returns only what is over its threshold, as in Prometheus' own rules."""
    for_seconds: float = Field(default=0.0, ge=0, le=86_400)
    """Seconds that a series must stay before it is told."""
    severity: Severity = Severity.WARNING
    """How severe it is."""
    labels: dict[Key, Text] = Field(default_factory=dict, max_length=32)
    """Labels besides the series' own."""
    summary: Text = ""
    """For people."""


class PrometheusSection(HttpSourceSection):
    """A Prometheus (or what speaks its HTTP API): its firing alerts, and rules of yours."""

    alerts: bool = True
    """Whether its own firing alerts are told."""
    rules: tuple[PromqlRuleSection, ...] = Field(default=(), max_length=200)
    """Expressions that are asked for at each look."""

    @field_validator("rules")
    @classmethod
    def _named_once(cls, value: tuple[PromqlRuleSection, ...]) -> tuple[PromqlRuleSection, ...]:
        names = [rule.name for rule in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"each rule's name once; given twice: {', '.join(twice)}")
        return value


class AlertmanagerSection(HttpSourceSection):
    """An Alertmanager whose silences stop acting here too. While it cannot be asked, nothing is acted on."""


class GitHubSection(Section):
    """GitHub: the tokens of the runbook on failed workflow runs, and of the poller that looks for them."""

    SECRETS: ClassVar[tuple[str, ...]] = ("token", "dispatch_token")

    token: SecretStr | None = None
    """Token that reads: Actions: read and Contents: read."""
    token_file: Path | None = None
    """File that holds `token`."""
    dispatch_token: SecretStr | None = None
    """Token that dispatches a rollback workflow (Actions: write), for the acting worker alone; none: nothing is."""
    dispatch_token_file: Path | None = None
    """File that holds `dispatch_token`."""
    api_url: HttpUrl = "https://api.github.com"
    """Where the API answers; https://HOST/api/v3 for GitHub Enterprise."""


class GitHubPollerSection(Section):
    """Failed workflow runs of GitHub Actions, for where no webhook can reach BytePort. Needs `github.token`."""

    repositories: tuple[Repository, ...] = Field(default=(), max_length=200)
    """OWNER/NAME whose failed runs are asked for; none are where webhooks bring them."""
    workflows: Annotated[str, StringConstraints(max_length=500)] = r"(?i).*(deploy|release|production).*"
    """Pattern of the workflows' names or files that count as deploys, matched as a whole."""
    period: Seconds = 60.0
    """Seconds between two looks."""
    timeout: Seconds = 10.0
    """Seconds that one answer may take."""

    @field_validator("workflows")
    @classmethod
    def _pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as wrong:
            raise ValueError(f"a regular expression ({wrong})") from None
        return value


class TlsEndpointSection(Section):
    """One endpoint."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,253}$")]
    """Host name or address."""
    port: int = Field(default=443, ge=1, le=65_535)
    """Its port."""
    starttls: Literal["none", "smtp", "postgres"] = "none"
    """What is spoken before TLS; none: TLS from the first byte."""
    server_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{0,253}$")] = ""
    """The name that is asked for, where it is another than the host."""


class TlsPollerSection(Section):
    """Certificates as they are served, asked for: those that expire, have expired, or that no client believes."""

    endpoints: tuple[TlsEndpointSection, ...] = Field(default=(), max_length=2000)
    """What is asked."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""
    period: Seconds = 3600.0
    """Seconds between two looks."""
    timeout: Seconds = 10.0
    """Seconds that one endpoint may take for everything. A look takes 25 in all."""

    @field_validator("endpoints")
    @classmethod
    def _each_once(cls, value: tuple[TlsEndpointSection, ...]) -> tuple[TlsEndpointSection, ...]:
        named = [f"{one.server_name or one.host}:{one.port} at {one.host}" for one in value]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"each endpoint once; given twice: {', '.join(twice)}")
        return value


class RenderPollerSection(Section):
    """Deploys of Render's services, asked."""

    SECRETS: ClassVar[tuple[str, ...]] = ("api_key",)

    api_key: SecretStr | None = None
    """API key."""
    api_key_file: Path | None = None
    """File that holds `api_key`."""
    services: dict[Annotated[str, StringConstraints(pattern=r"^[a-z]{3}-[A-Za-z0-9-]{1,60}$")], Text] = Field(
        default_factory=dict, max_length=200
    )
    """Ids of services (srv-…), each with the name that people know it by."""
    api_url: HttpUrl = "https://api.render.com"
    """Where the API answers."""
    period: Seconds = 60.0
    """Seconds between two looks."""
    timeout: Seconds = 10.0
    """Seconds that one answer may take."""

    @model_validator(mode="after")
    def _can_ask(self) -> Self:
        if self.services and not (self.api_key or self.api_key_file):
            raise ValueError("api_key is required with services")
        return self


class PollersSection(Section):
    """The sources that BytePort asks by itself."""

    database: DatabasePollerSection = Field(default_factory=DatabasePollerSection)
    """Use of the configured databases' connections."""
    prometheus: dict[PollerName, PrometheusSection] = Field(default_factory=dict)
    """Prometheus servers, by a name of yours."""
    alertmanager: dict[PollerName, AlertmanagerSection] = Field(default_factory=dict)
    """Alertmanagers whose silences are heeded, by a name of yours."""
    github: GitHubPollerSection = Field(default_factory=GitHubPollerSection)
    """Failed workflow runs, asked for."""
    tls: TlsPollerSection = Field(default_factory=TlsPollerSection)
    """Certificates as they are served."""
    vitals: VitalsPollerSection = Field(default_factory=VitalsPollerSection)
    """Hosts: CPU, memory, disk, inodes, OOM kills."""
    sentry: SentryPollerSection = Field(default_factory=SentryPollerSection)
    """Spikes of Sentry's issues."""
    datadog: DatadogPollerSection = Field(default_factory=DatadogPollerSection)
    """Datadog's metrics."""
    cloudwatch: dict[PollerName, CloudWatchPollerSection] = Field(default_factory=dict)
    """CloudWatch's metrics, by a name of yours for each region."""
    render: RenderPollerSection = Field(default_factory=RenderPollerSection)
    """Render's deploys."""

    def periods(self) -> Iterator[tuple[str, float]]:
        """Name and period (seconds) of every poller that runs, but for the databases'."""
        yield from ((f"prometheus {name}", section.period) for name, section in self.prometheus.items())
        yield from ((f"silences of {name}", section.period) for name, section in self.alertmanager.items())
        yield from ((f"github {repository}", self.github.period) for repository in self.github.repositories)
        yield from [("tls", self.tls.period)] if self.tls.endpoints else []
        yield from [("vitals", self.vitals.period)] if self.vitals.enabled else []
        yield from [("memory", self.vitals.memory_looks)] if self.vitals.enabled else []
        yield from [("sentry", self.sentry.period)] if self.sentry.enabled else []
        yield from [("datadog", self.datadog.period)] if self.datadog.metrics else []
        yield from ((f"cloudwatch {name}", section.period) for name, section in self.cloudwatch.items())
        yield from [("render", self.render.period)] if self.render.services else []
