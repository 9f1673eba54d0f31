"""The parts of `byteport.yaml`, each field with what it means and what it may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from byteport.model.confidence import CONFIDENCE_FLOOR
from byteport.model.signal import Mode
from byteport.settings.channels import HttpUrl
from byteport.settings.section import Section


class RunbookSection(Section):
    """What is particular to one runbook here."""

    enabled: bool = True
    """Whether it takes signals at all."""
    mode: Mode | None = None
    """An explicit mode only holds back: a promotion in the ledger never goes beyond it."""
    order: int | None = None
    """Smaller takes a signal first where several runbooks claim it; not given: the built-in order."""
    confidence_floor: int | None = Field(default=None, ge=CONFIDENCE_FLOOR, le=100)
    """Percent below which nothing is changed; may only be raised."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The page's options by name (`byteport runbooks show`); those that limit may only tighten."""


class WebhookSection(Section):
    """A source that sends messages, and how they prove that it was the source."""

    SECRETS: ClassVar[tuple[str, ...]] = ("secret",)

    secret: SecretStr | None = Field(default=None, min_length=16)
    """Shared secret of the signature, or the password of those that do not sign; without it the source is unknown."""
    secret_file: Path | None = None
    """File that holds `secret`."""
    replay_window: float = Field(default=300.0, ge=1, le=3600)
    """Seconds by which a message's date may differ from now."""


class WebhooksSection(Section):
    """The sources under /webhooks/."""

    generic: WebhookSection = Field(default_factory=WebhookSection)
    """/webhooks/generic: signals in BytePort's own form, signed with HMAC-SHA256."""
    alertmanager: WebhookSection = Field(default_factory=WebhookSection)
    """/webhooks/alertmanager: Prometheus Alertmanager's webhook_config, the secret as bearer or basic password."""
    grafana: WebhookSection = Field(default_factory=WebhookSection)
    """/webhooks/grafana: Grafana's webhook contact point, by its HMAC signature, bearer or basic password."""
    github: WebhookSection = Field(default_factory=WebhookSection)
    """/webhooks/github: workflow_run, deployment_status and check_suite, signed (X-Hub-Signature-256)."""
    argocd: WebhookSection = Field(default_factory=WebhookSection)
    """/webhooks/argocd: Argo CD notifications by the template in docs/sources.md, the secret as bearer."""
    flux: WebhookSection = Field(default_factory=WebhookSection)
    """/webhooks/flux: Flux's notification-controller, generic-hmac (X-Signature) or generic with the secret."""
    spinnaker: WebhookSection = Field(default_factory=WebhookSection)
    """/webhooks/spinnaker: echo's REST events, the secret as basic password."""
    sentry: WebhookSection = Field(default_factory=WebhookSection)
    """/webhooks/sentry: an internal integration, signed (Sentry-Hook-Signature) with its client secret."""
    datadog: WebhookSection = Field(default_factory=WebhookSection)
    """/webhooks/datadog: monitors by the template in docs/sources.md, the secret as bearer."""


class WebSection(Section):
    """The HTTP service and the console."""

    SECRETS: ClassVar[tuple[str, ...]] = ("token",)

    host: str = Field(default="127.0.0.1", min_length=1, max_length=253)
    """Address to listen on; loopback unless told otherwise."""
    port: int = Field(default=8321, ge=0, le=65_535)
    """Port to listen on; 0 takes a free one."""
    token: SecretStr | None = Field(default=None, min_length=16)
    """Token for the console and the API, at least 16 characters."""
    token_file: Path | None = None
    """File that holds `token`."""
    base_url: HttpUrl | Literal[""] = ""
    """How people reach the console, for links in messages; not given: from host and port."""
    secure_cookie: bool = False
    """Set where the console is served over HTTPS: the cookie is then never sent without it."""
    backlog: int = Field(default=1000, ge=1)
    """Signals are answered with 429 while more incidents than this are overdue by more than a minute."""

    @property
    def url(self) -> str:
        """Where people find the console, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.base_url or f"http://{host}:{self.port}").rstrip("/")


class PolicySection(Section):
    """Limits that are policy. The first three may be raised; everything else may only be tightened."""

    storm_threshold: int = Field(default=20, ge=1, le=10_000)
    """New incidents of one runbook in 5 min beyond which it only diagnoses."""
    max_concurrent_remediations: int = Field(default=5, ge=1, le=1000)
    """Incidents under remediation at once."""
    first_day_rate: int = Field(default=1, ge=1, le=1000)
    """Actions an hour that a newly live runbook may take in its first 24 h."""
    confidence_floor: int = Field(default=CONFIDENCE_FLOOR, ge=CONFIDENCE_FLOOR, le=100)
    """Percent below which nothing is changed, for every runbook."""
    notifications: int = Field(default=5, ge=1, le=50)
    """How often people are told of one incident at most; how it ended is told beside that."""
    repeat_minutes: int = Field(default=15, ge=1, le=1440)
    """Minutes after which a page (high or critical) that nobody has acknowledged is repeated."""
    operators: tuple[str, ...] = Field(default=(), max_length=16)
    """Channels for what concerns BytePort itself (a source that does not answer); not given: slack, pagerduty and
    postmark, as far as they are configured."""
    retention_days: int = Field(default=90, ge=1, le=3650)
    """Days after which a closed incident is forgotten."""
