"""What several parts of the wiring are made with."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from byteport.errors import Denied
from byteport.settings.pollers import HttpSourceSection

if TYPE_CHECKING:
    from byteport.adapters.http_api import HttpApi


class NotConfigured:
    """Says what is missing whenever it is asked."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> Any:
        def refuse(*_asked: object, **_more: object) -> Any:
            raise Denied(self._why)

        return refuse


def api_of(name: str, section: HttpSourceSection, patience: timedelta | None = None, refused: object = None) -> HttpApi:
    """With the section's login; raises ValueError where a secret's file has become unreadable."""
    from byteport.adapters.http_api import HttpApi

    headers = dict(section.headers)
    if (token := section.in_clear("token")) is not None:
        headers["Authorization"] = f"Bearer {token}"
    if (password := section.in_clear("password")) is not None:
        login = base64.b64encode(f"{section.username}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    more = {"refused": refused, "verify": str(section.ca_file) if section.ca_file else True}
    patience = patience or timedelta(seconds=section.timeout)
    return HttpApi(name, str(section.url), headers, patience, **more)  # type: ignore[arg-type]
