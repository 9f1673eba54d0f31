"""What work costs: CPU of process trees, commands of a Redis, statements of a PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
import redis

STATEMENTS = "select left(regexp_replace(query, '\\s+', ' ', 'g'), 120) as query, sum(calls)::bigint from pg_stat_statements group by 1"


def cpu_of(pids: Iterable[int]) -> float:
    """CPU seconds (user and system) of these processes and of all their children, also of those that have ended."""
    spent = 0.0
    for pid in pids:
        for one in _tree(pid):
            with suppress(psutil.Error):
                times = one.cpu_times()
                spent += times.user + times.system + times.children_user + times.children_system
    return spent


def memory_of(pids: Iterable[int]) -> float:
    """Megabytes of memory that belong to these process trees (PSS: a page that n processes share counts 1/n)."""
    pss = 0
    for pid in pids:
        for one in _tree(pid):
            with suppress(psutil.Error):
                pss += one.memory_full_info().pss
    return pss / 1e6


def _tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def commands(client: redis.Redis) -> Counter[str]:
    """Calls since the server started, by command; what scripts call counts with their caller."""
    told: dict[str, dict[str, Any]] = client.info("commandstats")  # type: ignore[assignment]
    return Counter({name.removeprefix("cmdstat_"): int(one["calls"]) for name, one in told.items()})


@dataclass(frozen=True)
class Statements:
    """Statements that clients sent, by their text; what functions run inside of the server does not count.

    `url` is a superuser's, at a server that has pg_stat_statements loaded.
    """

    url: str

    def prepare(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("create extension if not exists pg_stat_statements")

    def counted(self) -> Counter[str]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return Counter(dict(connection.execute(STATEMENTS).fetchall()))
