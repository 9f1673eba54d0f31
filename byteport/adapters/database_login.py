"""Who we are at a database server, and what its refusals mean; the secret of a login is in no text that leaves here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, quote_plus

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from byteport.errors import BytePortError, Denied, OutOfTime, Permanent, Transient

CLIP = 400
_CREDENTIALS = re.compile(r"(?<=://)[^@/\s]*@|password\s*=\s*(?:'[^']*'|\S+)", re.IGNORECASE)
_REFUSED = re.compile(
    r"authentication failed|no pg_hba\.conf entry|role \".*\" does not exist|not permitted to log in"
    r"|permission denied|admin access needed|no such user|not allowed|password supplied"
    r"|too many connections for",  # a role's or a database's own limit: the server itself may have room
)
_FULL = re.compile(r"remaining connection slots|too many clients|no more connections allowed")
_WRONG = re.compile(
    r"database \".*\" does not exist|no such database|unsupported startup parameter|not currently accepting"
)


@dataclass(frozen=True)
class Login:
    """Who we are at one server, and how. `conninfo` is a URL or a keyword string with its secret; it is never shown.

    `settings` are made for the session at its start; a pooler's console takes none and speaks the simple protocol only.
    """

    name: str
    conninfo: str = field(repr=False)
    application: str = "byteport-probe"
    limit: timedelta = timedelta(seconds=8)
    connect_within: timedelta = timedelta(seconds=3)
    settings: Mapping[str, str] = field(default_factory=dict)
    console: bool = False

    def parameters(self) -> dict[str, Any]:
        """What psycopg is given. Raises Permanent, without the text, where `conninfo` cannot be read."""
        try:
            stated = conninfo_to_dict(self.conninfo)
        except psycopg.Error:
            raise Permanent(f"{self.name}: the connection URL cannot be read (it is not shown)") from None
        options = " ".join(
            [str(stated.get("options") or ""), *(f"-c {k}={v}" for k, v in self.settings.items())]
        ).strip()
        limit = int(self.limit.total_seconds())
        return {
            **stated, "application_name": self.application, "connect_timeout": int(self.connect_within.total_seconds()),
            "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3,
            "tcp_user_timeout": limit * 1000, **({"options": options} if options else {}),
        }  # fmt: skip

    def redacted(self, text: object) -> str:
        """The text without this login's secret, on one line, clipped."""
        told = " ".join(str(text).split())
        try:
            secret = str(conninfo_to_dict(self.conninfo).get("password") or "")
        except psycopg.Error:
            return "(not shown: the connection URL cannot be read)"
        for form in {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)} - {""}:
            told = told.replace(form, "***")
        return _CREDENTIALS.sub("***", told)[:CLIP]


def translated(problem: Exception, login: Login) -> BytePortError:
    """psycopg's error in our words, without a secret in it."""
    text = f"{login.name}: {login.redacted(problem)}"
    match problem:
        case errors.InsufficientPrivilege() | errors.InvalidPassword() | errors.InvalidAuthorizationSpecification():
            return Denied(text)
        case errors.QueryCanceled() | errors.ConnectionTimeout():
            return OutOfTime(text)
        case errors.InvalidCatalogName():
            return Permanent(text)
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return _unconnected(text)
        case _:
            return Permanent(text)


def _unconnected(text: str) -> BytePortError:
    """A refused connection has no error code in psycopg, only the server's words."""
    if _FULL.search(text):
        return Transient(f"{text} (every slot is taken, and no connection was kept)")
    if _REFUSED.search(text):
        return Denied(text)
    return Permanent(text) if _WRONG.search(text) else Transient(text)
