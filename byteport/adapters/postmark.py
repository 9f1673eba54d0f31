"""Postmark's server API: one mail at a time, and what was sent found again by its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from byteport.adapters.http_api import PATIENCE, HttpApi, retry_after, said
from byteport.errors import BytePortError, Denied, Permanent, Transient

URL = "https://api.postmarkapp.com"


@dataclass(frozen=True)
class PostmarkServer:
    """With a server's token. Documented under "Email API" and "Messages API"."""

    api: HttpApi

    @classmethod
    def at(cls, token: str, url: str = URL, patience: timedelta = PATIENCE) -> PostmarkServer:
        headers = {"X-Postmark-Server-Token": token, "Accept": "application/json"}
        return cls(HttpApi("postmark", url, headers, patience, refused=_refused))

    def send(self, mail: Mapping[str, Any]) -> str:
        """The message's id. Raises Transient, Permanent or Denied; after a Transient it may have been sent."""
        return str(self.api.ask("POST", "/email", json=dict(mail)).json().get("MessageID", ""))

    def find(self, name: str, value: str) -> str:
        """The id of an outbound message with that metadata, empty where there is none."""
        params = {f"metadata_{name}": value, "count": 1, "offset": 0}
        found = self.api.ask("GET", "/messages/outbound", params=params).json().get("Messages") or []
        return str(found[0].get("MessageID", "")) if found else ""


def _refused(status: int, headers: httpx.Headers, body: bytes) -> BytePortError | None:
    """Postmark's own error codes: 10 is the token, 405 an account that may not send now, 406 a recipient that must not
    be written to."""
    try:
        told = json.loads(body)
        code = int(told.get("ErrorCode", 0))
    except (ValueError, AttributeError, TypeError):
        return None
    if code in (10, 401) or status == 401:
        return Denied(f"postmark: the server token is not accepted (code {code})")
    if code in (405, 429):
        return Transient(f"postmark: code {code}: {said(body)}", retry_after=retry_after(headers))
    return Permanent(f"postmark: code {code}: {said(body)}") if status == 422 else None
