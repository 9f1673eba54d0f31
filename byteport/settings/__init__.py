"""BytePort's configuration: `byteport.yaml` and `BYTEPORT_*`, read once, with every error told at once.

Importing it needs neither a server nor a client library.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from byteport.errors import BadConfiguration
from byteport.model.base import digest_of
from byteport.model.route import Route
from byteport.model.signal import Mode
from byteport.model.target import FullName, Target
from byteport.settings import sources
from byteport.settings.channels import ChannelsSection
from byteport.settings.database import DatabaseSection, Name
from byteport.settings.hosts import HostSection, problems_of
from byteport.settings.maintenance import MaintenanceSection
from byteport.settings.metrics import SentrySection
from byteport.settings.pollers import GitHubSection, PollersSection
from byteport.settings.section import Section
from byteport.settings.sections import (
    PolicySection,
    RunbookSection,
    WebhooksSection,
    WebSection,
)
from byteport.settings.teams import TeamName, TeamSection

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
AGREED = {
    "mode", "runbook_dry_run", "runbooks", "pollers", "policy", "routes", "default_routes", "maintenance",
    "self_targets",
}  # fmt: skip
SCHEMES = {
    "database_url": ("postgresql://", "postgres://"),
    "broker_url": ("redis://", "rediss://"),
    "budgets_url": ("redis://", "rediss://", "sentinel://"),
}


def usual_data_dir() -> Path:
    """/var/lib/byteport for root, else the user's own data folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/byteport")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "byteport"


class Settings(Section, BaseSettings):
    """Everything that people decide. `Settings(...)` takes what it is given and nothing else; `load` reads the places.

    Environment: BYTEPORT_ and the key in capitals, `__` between a section and its key (BYTEPORT_WEB__PORT).
    """

    model_config = SettingsConfigDict(
        env_prefix=sources.PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid",
        hide_input_in_errors=True, validate_default=False,
    )  # fmt: skip

    SECRETS: ClassVar[tuple[str, ...]] = tuple(SCHEMES)

    database_url: SecretStr | None = None
    """BytePort's own PostgreSQL, the ledger: postgresql://…"""
    database_url_file: Path | None = None
    """File that holds `database_url`."""
    broker_url: SecretStr | None = None
    """Redis that carries the tasks: redis://… or rediss://…"""
    broker_url_file: Path | None = None
    """File that holds `broker_url`."""
    budgets_url: SecretStr | None = None
    """Redis that counts budgets; `broker_url` where it is not given. Behind Sentinels: sentinel://HOST:PORT,…/MASTER."""
    budgets_url_file: Path | None = None
    """File that holds `budgets_url`."""
    data_dir: Path = Field(default_factory=usual_data_dir)
    """Folder for embedded servers, the journal channel and postmortems."""
    pages_folder: Path | None = None
    """Folder with runbooks of your own, one Python module each."""
    mode: Mode = Mode.DRY_RUN
    """What runbooks may do: dry_run, approve or live. Written out, it holds every promotion back to itself."""
    runbook_dry_run: bool | None = None
    """true: every write is shown instead, whatever a mode or a command says. Not given: no opinion."""
    pause: bool = False
    """true: this process changes nothing."""
    pause_file: Path = Path("/etc/byteport/pause")
    """While this file exists, nothing on this host changes anything."""
    runbooks: dict[Slug, RunbookSection] = Field(default_factory=dict)
    """Settings by runbook."""
    github: GitHubSection = Field(default_factory=GitHubSection)
    """GitHub's tokens."""
    sentry: SentrySection = Field(default_factory=SentrySection)
    """Sentry's organisation and token."""
    databases: dict[Name, DatabaseSection] = Field(default_factory=dict)
    """The databases that BytePort looks after, by a name of yours."""
    hosts: dict[Name, HostSection] = Field(default_factory=dict, max_length=10_000)
    """The hosts that BytePort reaches, by a name of yours."""
    metrics: str = ""
    """The entry of `pollers.prometheus` that runbooks ask about applications; not given: the only one there is."""
    pollers: PollersSection = Field(default_factory=PollersSection)
    """The sources that BytePort asks by itself."""
    webhooks: WebhooksSection = Field(default_factory=WebhooksSection)
    """The sources that send messages."""
    routes: tuple[Route, ...] = Field(default=(), max_length=500)
    """What alerts become: the first route that fits decides, yours before the built-in ones."""
    default_routes: bool = True
    """Whether the built-in routes are tried after yours (`byteport routes list`)."""
    maintenance: tuple[MaintenanceSection, ...] = Field(default=(), max_length=100)
    """Windows that come again, in which nothing is changed."""
    web: WebSection = Field(default_factory=WebSection)
    """The HTTP service and the console."""
    channels: ChannelsSection = Field(default_factory=ChannelsSection)
    """Where people are told."""
    teams: dict[TeamName, TeamSection] = Field(default_factory=dict, max_length=200)
    """Whose a signal is, and where that team is told; the first that owns it, in this order."""
    policy: PolicySection = Field(default_factory=PolicySection)
    """Limits that are policy."""
    self_targets: tuple[FullName, ...] = Field(default=(), max_length=1024)
    """What hosts BytePort besides what it finds by itself, as kind:key (host:NAME, node:NAME): never acted on."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing is read behind the caller's back; `load` merges file and environment itself."""
        return (init_settings,)

    @classmethod
    def load(cls, path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Self:
        """File and environment, the environment winning. Raises BadConfiguration with every error at once."""
        told, problems = sources.told_by(cls, path, environ)
        problems += sources.misspelt(cls, environ)
        try:
            settings = cls.model_validate(told)
        except ValidationError as error:
            problems += sources.problems_of(error, cls)
        if problems:
            raise BadConfiguration(tuple(dict.fromkeys(problems)))
        return settings

    @field_validator(*SCHEMES)
    @classmethod
    def _our_kind_of_store(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        schemes = SCHEMES[info.field_name or ""]
        if value is not None and not value.get_secret_value().startswith(schemes):
            raise ValueError(f"a URL that begins with {' or '.join(schemes)}")
        return value

    @field_validator("databases")
    @classmethod
    def _one_key_each(cls, value: dict[str, DatabaseSection]) -> dict[str, DatabaseSection]:
        """Two names for one database would poll it twice, and disagree about it."""
        counted = Counter(database.key for database in value.values())
        if twice := sorted(key for key, n in counted.items() if n > 1):
            raise ValueError(f"each database once; configured twice: {', '.join(twice)}")
        return value

    @field_validator("hosts")
    @classmethod
    def _ways_that_end(cls, value: dict[str, HostSection]) -> dict[str, HostSection]:
        if wrong := problems_of(value):
            raise ValueError("; ".join(wrong))
        return value

    @model_validator(mode="after")
    def _metrics_that_exist(self) -> Self:
        if self.metrics and self.metrics not in self.pollers.prometheus:
            raise ValueError(f"metrics: an entry of pollers.prometheus, not {self.metrics!r}")
        return self

    @property
    def ledger_dsn(self) -> str:
        """The ledger's URL in clear; raises BadConfiguration where there is none."""
        return self._required("database_url")

    @property
    def broker_dsn(self) -> str:
        """The broker's URL in clear; raises BadConfiguration where there is none."""
        return self._required("broker_url")

    @property
    def budgets_dsn(self) -> str:
        """The budgets' URL in clear, the broker's where it has none of its own; raises BadConfiguration."""
        return self.in_clear("budgets_url") or self.broker_dsn

    def _required(self, name: str) -> str:
        found = self.in_clear(name)
        if found is None:
            expected = f"required here: {SCHEMES[name][0]}… in {sources.PREFIX}{name.upper()}, or {name}_file"
            raise BadConfiguration(((name, expected),))
        return found

    @property
    def explicit_mode(self) -> Mode | None:
        """The mode if somebody wrote it; None where it is the default."""
        return self.mode if "mode" in self.model_fields_set else None

    @property
    def journal_folder(self) -> Path:
        return self.channels.journal.folder or self.data_dir / "messages"

    def target_of(self, name: str) -> Target:
        """The configured database of that name or key as a target; raises KeyError for an unknown one."""
        for known, database in self.databases.items():
            if name in (known, database.key):
                return database.target(known)
        raise KeyError(name)

    def digest(self) -> str:
        """What all workers must agree on, hashed; no secret and nothing of one machine or process goes in."""
        shared = self.model_dump(
            mode="json",
            include={
                "mode",
                "runbook_dry_run",
                "runbooks",
                "pollers",
                "policy",
                "routes",
                "default_routes",
                "self_targets",
            },
        )
        hidden = {name for secret in DatabaseSection.SECRETS for name in (secret, f"{secret}_file")}
        shared["databases"] = {
            name: {"key": database.key, **database.model_dump(mode="json", exclude=hidden)}
            for name, database in sorted(self.databases.items())
        }
        return digest_of({**shared, "explicit_mode": self.explicit_mode})[:16]


__all__ = ["DatabaseSection", "Settings"]
