"""A database that BytePort looks after, and the name it has everywhere: host/dbname, never its URL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from byteport.model.target import Key, Target, TargetKind, Text
from byteport.settings.section import Section

POSTGRES_PORT = 5432
EXPECTED_URL = "postgresql://HOST[:PORT]/DBNAME with the login before the host"
Workload = Annotated[str, Field(max_length=512, pattern=r"^[^/]+/[^/]+/[A-Za-z]+/[^/]+$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]


class DatabaseSection(Section):
    """One monitored database, with two identities: `url` looks (pg_monitor), `act_url` acts (pg_signal_backend)."""

    SECRETS: ClassVar[tuple[str, ...]] = ("url", "act_url", "pooler_url", "pooler_act_url")

    url: SecretStr | None = None
    """Login that probes and polls: postgresql://USER[:PASSWORD]@HOST[:PORT]/DBNAME."""
    url_file: Path | None = None
    """File that holds `url`."""
    act_url: SecretStr | None = None
    """Login that ends and cancels sessions; `url` where it is not given."""
    act_url_file: Path | None = None
    """File that holds `act_url`."""
    pooler_url: SecretStr | None = None
    """Console of the pgbouncer in front, as one of its stats_users; not given: no pooler."""
    pooler_url_file: Path | None = None
    """File that holds `pooler_url`."""
    pooler_act_url: SecretStr | None = None
    """The same console as one of its admin_users, for RELOAD; `pooler_url` where it is not given."""
    pooler_act_url_file: Path | None = None
    """File that holds `pooler_act_url`."""
    pooler_ini: Path | None = None
    """Opt-in: the pgbouncer.ini in which BytePort may raise default_pool_size. Not given: it proposes only."""
    workloads: tuple[Workload, ...] = Field(default=(), max_length=64)
    """Workloads that use the database, as cluster/namespace/kind/name, for a deploy source to correlate with."""
    allowlist: tuple[Text, ...] = Field(default=(), max_length=256)
    """Users, client addresses or application names whose sessions are never touched, besides the built-in ones."""
    annotations: dict[Key, Text] = Field(default_factory=dict, max_length=64)
    """Opt-ins and opt-outs, as a Kubernetes object would carry them."""

    @field_validator("url", "act_url", "pooler_url", "pooler_act_url")
    @classmethod
    def _addressed(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            address(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _known_by_a_key(self) -> Self:
        url = self.in_clear("url")
        if url is None:
            raise ValueError("url or url_file is required")
        address(url)
        return self

    @property
    def acting_url(self) -> str | None:
        return self.in_clear("act_url") or self.in_clear("url")

    @property
    def pooler_acting_url(self) -> str | None:
        return self.in_clear("pooler_act_url") or self.in_clear("pooler_url")

    @property
    def key(self) -> str:
        """host/dbname, with the port where it is not the usual one: two servers on one host are two targets."""
        parts = address(self.in_clear("url") or "")
        return f"{server_of(parts)}/{unquote(parts.path[1:])}"

    def target(self, name: str) -> Target:
        """As a target; `name` is the key under `databases`."""
        parts = address(self.in_clear("url") or "")
        coordinates = {"database": name}
        return Target(
            kind=TargetKind.DATABASE, key=self.key, within=(f"server:{server_of(parts)}",), coordinates=coordinates
        )


def server_of(parts: SplitResult) -> str:
    """host, or host:port where the port is not PostgreSQL's own."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return host if (parts.port or POSTGRES_PORT) == POSTGRES_PORT else f"{host}:{parts.port}"


def address(url: str) -> SplitResult:
    """The parts of a database URL; raises ValueError that says what is wrong and never quotes the URL."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError(f"{EXPECTED_URL} with a port from 1 to 65535") from None
    if parts.scheme not in ("postgresql", "postgres"):
        scheme = parts.scheme if re.fullmatch(r"[a-z][a-z0-9+.-]{0,19}", parts.scheme) and "://" in url else "none"
        raise ValueError(f"{EXPECTED_URL} (scheme: {scheme})")
    if not parts.hostname:
        raise ValueError(f"{EXPECTED_URL} (no host; a socket's folder cannot name a target)")
    if len(parts.path) < 2 or "/" in parts.path[1:]:
        raise ValueError(f"{EXPECTED_URL} (no database name)")
    if port == 0:
        raise ValueError(f"{EXPECTED_URL} with a port from 1 to 65535")
    return parts
