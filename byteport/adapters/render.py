"""Render's API: the newest deploys of a service. Documented under "List deploys"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from pydantic import ValidationError

from byteport.adapters.http_api import PATIENCE, HttpApi
from byteport.errors import Permanent
from byteport.model.facts.render import Deploy

URL = "https://api.render.com"


@dataclass(frozen=True)
class Render:
    """With an API key."""

    api: HttpApi

    @classmethod
    def at(cls, key: str, url: str = URL, patience: timedelta = PATIENCE) -> Render:
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        return cls(HttpApi("render", url, headers, patience))

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
