"""A message of a source as it came over HTTP, and how such messages prove who sent them. Pure: the time is given."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from byteport.errors import BadSignal
from byteport.model.alert import Alert
from byteport.model.base import Json, digest_of
from byteport.model.signal import Signal
from byteport.model.target import Key
from byteport.redaction import redact

MOST_ALERTS = 1000
LONGEST_HEADER = 4096
LONGEST_TEXT = 2048
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_HEX = re.compile(r"[0-9a-fA-F]{64}")


class NotSigned(Exception):
    """The proof is missing, malformed, wrong or stale; the text says which, and nothing of the secret."""


@dataclass(frozen=True)
class Incoming:
    """One request: header names in small letters, the body as it came, and when (unix seconds)."""

    headers: Mapping[str, str]
    body: bytes
    now: float

    def header(self, name: str) -> str:
        """A header's value, empty where it is missing; NotSigned for one that is too long to be looked at."""
        told = self.headers.get(name.lower(), "")
        if len(told) > LONGEST_HEADER:
            raise NotSigned(f"{name}: at most {LONGEST_HEADER} characters")
        return told

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    @property
    def identity(self) -> str:
        """The same bytes are the same message."""
        return hashlib.sha256(self.body).hexdigest()[:32]


@dataclass(frozen=True)
class Malformed:
    """One part of a payload that cannot be read; the others are taken all the same."""

    field: str
    expected: str


@dataclass(frozen=True)
class Silent(Malformed):
    """A part of a source, by its name, that did not answer, while others did."""


Heard = Alert | Signal | Malformed


@dataclass(frozen=True)
class Source:
    """A source under /webhooks/{name}.

    `verify(incoming, secret, window)` raises NotSigned unless the message proves that its sender knows the secret and,
    where the source dates its messages, that it is at most `window` seconds old. `parse(payload, incoming)` answers
    what it told, nothing for an event that is of no interest; raises BadSignal where the payload as a whole is not
    what this source sends.
    """

    name: str
    verify: Callable[[Incoming, str, float], None]
    parse: Callable[[Json, Incoming], Sequence[Heard]]
    about: str = ""


def by_password(incoming: Incoming, secret: str, _window: float = 0) -> None:
    """`Authorization: Bearer SECRET`, or Basic with the secret as the password, whoever the user is: for sources that
    do not sign. Such a message is not dated."""
    scheme, _, given = incoming.header("authorization").partition(" ")
    told = given.strip()
    if scheme.lower() == "basic":
        try:
            told = base64.b64decode(told, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            raise NotSigned("Authorization: Basic with base64 of USER:SECRET") from None
    elif scheme.lower() != "bearer":
        raise NotSigned("Authorization: Bearer SECRET, or Basic with the secret as the password")
    if not secret or not hmac.compare_digest(told.encode(), secret.encode()):
        raise NotSigned("wrong secret")


def by_hmac(signed: bytes, secret: str, given: str, header: str) -> None:
    """`given` is the hex HMAC-SHA256 of `signed`, with or without `sha256=` before it."""
    told = given.removeprefix("sha256=")
    if not _HEX.fullmatch(told):
        raise NotSigned(f"{header}: hex HMAC-SHA256 of the body is expected")
    right = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(right, told.lower()):
        raise NotSigned("wrong signature")


def not_stale(dated: str, now: float, window: float, header: str) -> None:
    """`dated` are unix seconds within `window` of now, in the past or the future."""
    if not re.fullmatch(r"\d{1,12}", dated):
        raise NotSigned(f"{header}: unix seconds are expected")
    if abs(now - int(dated)) > window:
        raise NotSigned(f"stale: dated {abs(now - int(dated)):.0f} s from now, at most {window:.0f} s are allowed")


def members(payload: Mapping[str, Any], field: str) -> Sequence[Any]:
    """The list under `field`; BadSignal where there is none, or more than 1,000 of them."""
    found = payload.get(field)
    if not isinstance(found, list):
        raise BadSignal(field, "a list")
    if len(found) > MOST_ALERTS:
        raise BadSignal(field, f"at most {MOST_ALERTS} of them in one message, got {len(found)}")
    return found


def one_by_one(found: Sequence[Any], field: str, read: Callable[[Mapping[str, Any]], Heard | None]) -> list[Heard]:
    """Each member read by itself; one that cannot be read keeps none of the others from being heard. `read` may raise
    BadSignal or ValidationError, whose field is then told with the member's place before it."""
    told: list[Heard] = []
    for place, member in enumerate(found):
        at = f"{field}.{place}" if field else ""
        heard = attempt(lambda one=member: read(_mapping(one)), at)  # type: ignore[misc]
        if heard is not None:
            told.append(heard)
    return told


def attempt(read: Callable[[], Heard | None], at: str = "") -> Heard | None:
    """What `read` answers, or what is wrong with it."""
    try:
        return read()
    except ValidationError as wrong:
        line = wrong.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in line["loc"] if str(part) != "[key]")
        return Malformed(".".join(part for part in (at, place) if part), str(line["msg"]))
    except BadSignal as wrong:
        return Malformed(".".join(part for part in (at, wrong.field) if part), wrong.expected)


def part(payload: Mapping[str, Any], field: str, told_as: str = "") -> Mapping[str, Any]:
    """The object under `field`; BadSignal names it, or `told_as`, where there is none."""
    found = payload.get(field)
    if not isinstance(found, Mapping):
        raise BadSignal(told_as.rstrip(".") or field, "an object")
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadSignal("", "an object")
    return value


def text(value: object, longest: int = LONGEST_TEXT) -> str:
    """A scalar as one bounded text for a summary; empty for anything else."""
    told = "" if value is None or isinstance(value, Mapping | list) else str(value)
    return _UNREADABLE.sub(" ", told)[:longest]


def labels(**told: object) -> dict[str, str]:
    """Labels of what is known: empty and missing ones are left out, numbers and booleans become texts."""
    found = {name: _scalar(value) for name, value in told.items()}
    return {name: value for name, value in found.items() if value}


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return text(value)


def moment(value: object, field: str) -> datetime:
    """An ISO 8601 date with its offset; BadSignal otherwise."""
    try:
        told = datetime.fromisoformat(str(value))
        if told.tzinfo is not None:
            return told.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadSignal(field, "a date in ISO 8601 with its offset")


def not_later(told: datetime, incoming: Incoming) -> datetime:
    """A source's date, never in our future: its clock may run ahead."""
    return min(told.astimezone(UTC), incoming.at)


def window_of(incoming: Incoming, length: int = 300) -> int:
    """The number of the five minutes in which it came: what a sender repeats within them is one telling, and what goes
    on for longer is heard again."""
    return int(incoming.now // length)


def struck(payload: Mapping[str, Any]) -> Json:
    """The payload as it may be stored, without secrets."""
    told: Json = redact(payload)
    return told


def id_of(*parts: object) -> str:
    """A short identity of several parts."""
    return digest_of([str(part) for part in parts])[:32]


__all__ = ["Heard", "Incoming", "Key", "Malformed", "NotSigned", "Source"]
