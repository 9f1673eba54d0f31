"""Render's API: the newest deploys of a service. Documented under "List deploys"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from byteport.adapters.http_api import LONGEST_WAIT, PATIENCE, HttpApi, said
from byteport.errors import BytePortError, Permanent, Transient
from byteport.model.facts.render import Deploy

URL = "https://api.render.com"
NO_DATE = 10 * 86_400  # a number of seconds that is no date of our time


@dataclass(frozen=True)
class Render:
    """With an API key."""

    api: HttpApi

    @classmethod
    def at(cls, key: str, url: str = URL, patience: timedelta = PATIENCE) -> Render:
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        return cls(HttpApi("render", url, headers, patience, refused=_refused))

    def deploys(self, service: str, most: int = 10) -> Sequence[Deploy]:
        """The newest first. Raises Transient, Denied, NotFound or Permanent."""
        path = f"/v1/services/{quote(service, safe='')}/deploys"
        told = self.api.ask("GET", path, params={"limit": most}).json()
        try:
            found = [one["deploy"] for one in told]
            return [
                Deploy(
                    id=one["id"], status=one["status"], trigger=one.get("trigger") or "",
                    commit=(one.get("commit") or {}).get("id") or "", created_at=one["createdAt"],
                    finished_at=one.get("finishedAt"),
                )
                for one in found
            ]  # fmt: skip
        except (KeyError, TypeError, AttributeError, ValidationError) as wrong:
            raise Permanent(f"render: deploys of a form that is not known here: {type(wrong).__name__}") from None


def _refused(status: int, headers: httpx.Headers, body: bytes) -> BytePortError | None:
    """A rate limit says when it ends. The documentation ("Rate limiting") calls `Ratelimit-Reset` a date in unix
    seconds, and shows seconds from now in its example: both are understood."""
    named = headers.get("ratelimit-reset", "")
    if status != 429 or not (named.isascii() and named.isdigit()):
        return None
    seconds = int(named[:11])
    if seconds > NO_DATE:
        seconds -= int(datetime.now(UTC).timestamp())
    wait = timedelta(seconds=min(max(seconds, 1), LONGEST_WAIT))
    return Transient(f"render: rate limit: {said(body)}", retry_after=wait)
