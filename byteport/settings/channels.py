"""Where people are told: each channel with what it means and what it may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from byteport.settings.section import Section

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=512)]
Address = Annotated[str, StringConstraints(pattern=r"^[^\s@<>]+@[^\s@<>]+$|^[^<>@\r\n]{1,100} <[^\s@<>]+@[^\s@<>]+>$")]
Repository = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100})?$")]


class SlackSection(Section):
    """Messages to Slack, with a bot's token or through an incoming webhook."""

    SECRETS: ClassVar[tuple[str, ...]] = ("token", "webhook", "signing_secret")

    token: SecretStr | None = None
    """Bot token (chat:write, channels:history)."""
    token_file: Path | None = None
    """File that holds `token`."""
    channel: str = Field(default="", pattern=r"^(#?[A-Za-z0-9_.-]{1,80})?$")
    """Channel's id or name."""
    webhook: SecretStr | None = None
    """Address of an incoming webhook, instead of token and channel: it tells at least once, and knows no threads."""
    webhook_file: Path | None = None
    """File that holds `webhook`."""
    signing_secret: SecretStr | None = None
    """The app's signing secret: its buttons are then heard at /slack/interactions."""
    signing_secret_file: Path | None = None
    """File that holds `signing_secret`."""
    approvers: tuple[Annotated[str, StringConstraints(pattern=r"^[UW][A-Z0-9]{6,20}$")], ...] = Field(
        default=(), max_length=500
    )
    """Ids of the people whose buttons count; nobody's do where none is named."""
    api_url: HttpUrl = "https://slack.com/api/"
    """Where the API answers."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        has_token = self.token is not None or self.token_file is not None
        has_hook = self.webhook is not None or self.webhook_file is not None
        if has_token and has_hook:
            raise ValueError("either token and channel, or webhook, not both")
        if has_token and not self.channel:
            raise ValueError("channel is required with token")
        return self

    @property
    def interactive(self) -> bool:
        """Whether its messages may have buttons."""
        return self.in_clear("signing_secret") is not None and bool(self.approvers)


class PostmarkSection(Section):
    """Mail by Postmark."""

    SECRETS: ClassVar[tuple[str, ...]] = ("token",)

    token: SecretStr | None = None
    """Token of a server."""
    token_file: Path | None = None
    """File that holds `token`."""
    sender: Address | None = None
    """A confirmed sender, as ADDRESS or NAME <ADDRESS>."""
    recipients: tuple[Address, ...] = Field(default=(), max_length=50)
    """Who is written to."""
    stream: str = Field(default="outbound", pattern=r"^[a-z0-9-]{1,50}$")
    """Postmark's message stream."""
    api_url: HttpUrl = "https://api.postmarkapp.com"
    """Where the API answers."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.token is not None or self.token_file is not None) and not (self.sender and self.recipients):
            raise ValueError("sender and recipients are required with token")
        return self


class PagerDutySection(Section):
    """PagerDuty, Events API v2."""

    SECRETS: ClassVar[tuple[str, ...]] = ("routing_key",)

    routing_key: SecretStr | None = None
    """Integration key of a service."""
    routing_key_file: Path | None = None
    """File that holds `routing_key`."""
    api_url: HttpUrl = "https://events.pagerduty.com"
    """Where the API answers; https://events.eu.pagerduty.com for accounts in the EU."""


class GitHubIssuesSection(Section):
    """Issues of a GitHub repository."""

    SECRETS: ClassVar[tuple[str, ...]] = ("token",)

    token: SecretStr | None = None
    """Token with Issues: write on the repository."""
    token_file: Path | None = None
    """File that holds `token`."""
    repository: Repository = ""
    """OWNER/NAME that takes the issues."""
    labels: tuple[Annotated[str, StringConstraints(min_length=1, max_length=50)], ...] = Field(
        default=(), max_length=20
    )
    """Labels of every issue, besides `byteport` and `runbook:SLUG`."""
    api_url: HttpUrl = "https://api.github.com"
    """Where the API answers; https://HOST/api/v3 for GitHub Enterprise."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.token is not None or self.token_file is not None) and not self.repository:
            raise ValueError("repository is required with token")
        return self


class JournalSection(Section):
    """Messages as files, for a machine without any other channel."""

    folder: Path | None = None
    """Where they are written; not given: `messages` in the data folder."""


class ChannelsSection(Section):
    """Where people are told."""

    slack: SlackSection = Field(default_factory=SlackSection)
    """Slack."""
    pagerduty: PagerDutySection = Field(default_factory=PagerDutySection)
    """PagerDuty."""
    postmark: PostmarkSection = Field(default_factory=PostmarkSection)
    """Mail by Postmark."""
    github_issue: GitHubIssuesSection = Field(default_factory=GitHubIssuesSection)
    """GitHub issues."""
    journal: JournalSection = Field(default_factory=JournalSection)
    """Files in a folder."""
