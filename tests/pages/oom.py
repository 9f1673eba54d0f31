"""A service of a host under a limit of its own, and what it held over the last hours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from byteport.adapters.ledger.rows import json
from byteport.model.facts.memory import GIB, MIB
from byteport.model.signal import Mode, Severity
from byteport.model.target import Target, TargetKind
from byteport.records.incident import Incident, Phase
from byteport.runbooks.linux.memory_pressure_oom import RUNBOOK
from tests.pages.shelf import HOST, SHOP, Shelf

LIMIT = 1000 * MIB
KEY = f"{SHOP}@{HOST}"
EVERY = timedelta(minutes=5)


def furnish(shelf: Shelf) -> Shelf:
    """The shop under a limit of 1000 MiB, on a host with memory left."""
    shelf.pages, shelf.slug = (RUNBOOK,), RUNBOOK.name
    shelf.box.put(SHOP, 950 * MIB, age=4 * 3600.0)
    shelf.box.limits[SHOP] = LIMIT
    shelf.box.others = 2 * GIB
    return shelf


def held(shelf: Shelf, mib: Callable[[float], float], minutes: int = 180, of: str = SHOP) -> None:
    """What it held, by how many minutes ago; as the poller would have written it down."""
    with psycopg.connect(shelf.url, autocommit=True) as connection:
        connection.execute("delete from byteport.memory_looks")
        for ago in range(minutes, 0, -5):
            connection.execute(
                "insert into byteport.memory_looks (host, at, held) values (%s, byteport.clock() - %s, %s)",
                [HOST, timedelta(minutes=ago), json({of: int(mib(ago) * MIB)})],
            )


def leaks(shelf: Shelf) -> None:
    """From 400 MiB to 940 MiB in three hours."""
    held(shelf, lambda ago: 940 - 3 * ago)


def asked(shelf: Shelf, rate: Callable[[float], float], minutes: int = 180) -> None:
    """Requests a second, by how many minutes ago."""
    now = datetime.now(UTC)
    shelf.prometheus.points = tuple((now - timedelta(minutes=ago), rate(ago)) for ago in range(minutes, 0, -5))
    shelf.options(requestRateQuery='sum(rate(http_requests_total{job="shop"}[5m]))')


def target(key: str = KEY, **coordinates: str) -> Target:
    return Target(kind=TargetKind.SERVICE, key=key, coordinates=coordinates)


def treat(shelf: Shelf, mode: Mode = Mode.LIVE, **more: Any) -> Incident:
    told = {"name": "oom_kill", "target": target(), "severity": Severity.CRITICAL}
    return shelf.treat(mode, **{**told, **more})


def rests(shelf: Shelf, incident: Incident, name: str) -> None:
    """With a person, and nothing was done."""
    found = incident.diagnosis.name if incident.diagnosis else ""
    assert (incident.phase, found, shelf.box.asked, shelf.manager.started) == (Phase.ESCALATE, name, [], [])
