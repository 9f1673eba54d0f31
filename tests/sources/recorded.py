"""Payloads as the senders' public documentation has their form, with values of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from byteport.model.alert import Alert
from byteport.sources.catalogue import SOURCES
from byteport.sources.incoming import Incoming

FOLDER = Path(__file__).parents[1] / "data" / "sources"
NOW = 1_795_687_200.0  # 2026-11-26T10:00:00Z


def names() -> list[str]:
    return sorted(f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/*.json"))


def recorded(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The body, and the headers that say what it is."""
    told = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return told["body"], told["headers"]


def incoming(body: Any, headers: dict[str, str] | None = None, now: float = NOW) -> Incoming:
    return Incoming({key.lower(): value for key, value in (headers or {}).items()}, json.dumps(body).encode(), now)


def heard(name: str, now: float = NOW, **changes: Any) -> list[Any]:
    body, headers = recorded(name)
    body = {**body, **changes}
    return list(SOURCES[name.partition("/")[0]].parse(body, incoming(body, headers, now)))


def alerts(name: str, now: float = NOW, **changes: Any) -> list[Alert]:
    told = heard(name, now, **changes)
    assert all(isinstance(one, Alert) for one in told), told
    return told
