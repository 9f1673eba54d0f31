"""One way to ask an HTTP API: bounded in time and size, never repeated by itself, its refusals in our words.

A repeat after a lost answer may double what was asked for; whoever calls knows whether that matters, and decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from byteport.errors import BytePortError, Denied, NotFound, Permanent, Transient
from byteport.redaction import redact_text

PATIENCE = timedelta(seconds=10)
LARGEST = 8 * 1024 * 1024
LONGEST_WAIT = 3600
AGENT = "byteport"


@dataclass(frozen=True)
class Answer:
    """A successful one, its body read."""

    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> Any:
        """Raises Transient for what is no JSON: something in between has answered."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Transient("the answer was no JSON") from None


@dataclass(frozen=True)
class HttpApi:
    """`name` stands before every error. `refused(status, headers, body)` may say better than the status does what a
    refusal means; None leaves it to the status: 401 and 403 Denied, 404 NotFound, 408, 429 and 5xx Transient with
    `retry_after`, everything else Permanent."""

    name: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    patience: timedelta = PATIENCE
    largest: int = LARGEST
    refused: Callable[[int, httpx.Headers, bytes], BytePortError | None] | None = None
    verify: bool | str = True

    def ask(self, method: str, path: str, **more: Any) -> Answer:
        """`path` is joined to the base address; `params`, `json`, `headers`, `content` as httpx has them. A body larger
        than `largest` bytes is Permanent. Redirects are answers, never followed."""
        url = path if path.startswith(("http://", "https://")) else f"{self.base_url.rstrip('/')}{path}"
        given = {**self.headers, **more.pop("headers", {})}
        with self._translated():
            with self._client() as client, client.stream(method, url, headers=given, **more) as answer:
                body = self._body(answer)
            if answer.status_code < 400:
                return Answer(answer.status_code, answer.headers, body)
        raise self._refusal(answer.status_code, answer.headers, body)

    def _client(self) -> httpx.Client:
        """One for each request: these are asked rarely, and a kept connection may be dead when it is needed."""
        return httpx.Client(
            timeout=self.patience.total_seconds(),
            follow_redirects=False,
            verify=self.verify,
            headers={"user-agent": AGENT},
        )

    def _body(self, answer: httpx.Response) -> bytes:
        told = bytearray()
        for chunk in answer.iter_bytes():
            told += chunk
            if len(told) > self.largest:
                raise Permanent(f"{self.name}: the answer is larger than {self.largest} bytes")
        return bytes(told)

    def _refusal(self, status: int, headers: httpx.Headers, body: bytes) -> BytePortError:
        if self.refused is not None and (better := self.refused(status, headers, body)) is not None:
            return better
        told = f"{self.name}: HTTP {status}: {said(body)}".removesuffix(": ")
        if status in (408, 429) or status >= 500:
            return Transient(told, retry_after=retry_after(headers))
        kinds: dict[int, type[Permanent]] = {401: Denied, 403: Denied, 404: NotFound, 410: NotFound}
        return kinds.get(status, Permanent)(told)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.InvalidURL as wrong:
            raise Permanent(f"{self.name}: {wrong}") from None
        except httpx.HTTPError as problem:
            told = redact_text(str(problem))[:200] or type(problem).__name__
            raise Transient(f"{self.name}: {told}") from problem


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Seconds or a date, at most an hour: more than that would silence what is to be told."""
    named = headers.get("retry-after", "").strip()
    if named.isascii() and named.isdigit():
        return timedelta(seconds=min(int(named[:9]), LONGEST_WAIT))
    dated, now = headers.get("date", ""), None
    try:
        until, now = parsedate_to_datetime(named), parsedate_to_datetime(dated)
        return min(max(until - now, timedelta(0)), timedelta(seconds=LONGEST_WAIT))
    except (TypeError, ValueError):
        return None


def said(body: bytes) -> str:
    """What a refusal says of itself, without secrets: the usual fields of JSON, else the beginning of the text."""
    text = body[:4000].decode("utf-8", "replace")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return redact_text(" ".join(text.split()))[:200]
    if isinstance(told, dict):
        words = [told.get(name) for name in ("message", "Message", "detail", "error", "errors")]
        text = next((str(word) for word in words if word), text)
    return redact_text(" ".join(text.split()))[:300]
