"""pgbouncer: what its console shows, and the one setting that may be raised in its file.

The console takes the simple protocol only, and here only the commands of this file: SHOW and RELOAD. Nothing in
this module can say KILL, SHUTDOWN, PAUSE, DISABLE or SET.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from byteport.adapters.database_login import Login
from byteport.adapters.database_pool import KeptConnection, Row
from byteport.adapters.pgbouncer_file import PoolerFile
from byteport.adapters.postgres import open_all
from byteport.errors import BytePortError, Permanent, Transient
from byteport.model.facts.database import PgbouncerPools, Pool

CONSOLE = "pgbouncer"
SHOW_POOLS, SHOW_DATABASES, SHOW_CONFIG, SHOW_STATS = "SHOW POOLS", "SHOW DATABASES", "SHOW CONFIG", "SHOW STATS"
RELOAD = "RELOAD"


def console_login(name: str, conninfo: str, application: str = "byteport-probe") -> Login:
    """A login to the admin console: `stats_users` is enough to look, RELOAD needs `admin_users`."""
    return Login(name, conninfo, application, timedelta(seconds=6), console=True)


@dataclass(frozen=True)
class PgbouncerConsole:
    """One pooler. `dbname` is the target database's name on the server that it leads to.

    `file` is set only where its configuration file is opted in, on a machine that this process can write.
    """

    console: KeptConnection
    dbname: str
    file: PoolerFile | None = None


@dataclass(frozen=True)
class Pgbouncers:
    """The `Pooler` port over the poolers of the databases that have one."""

    poolers: Mapping[str, PgbouncerConsole]

    def open(self) -> dict[str, BytePortError]:
        """Take every console now, while the pooler still lets clients in; those out of reach, and why."""
        return open_all({database: pooler.console for database, pooler in self.poolers.items()})

    def close(self) -> None:
        for pooler in self.poolers.values():
            pooler.console.close()

    def pools(self, database: str) -> PgbouncerPools | None:
        pooler = self.poolers.get(database)
        if pooler is None:
            return None
        settings, databases, pools, stats = pooler.console.snapshot(
            (SHOW_CONFIG, None), (SHOW_DATABASES, None), (SHOW_POOLS, None), (SHOW_STATS, None)
        )
        config, leads = _config(settings), {row["name"]: row for row in databases}
        default = _number(config, "default_pool_size", pooler.console)
        rows = [row for row in pools if row["database"] != CONSOLE]
        return PgbouncerPools(
            pools=tuple(_pool(row, leads.get(row["database"], {}), default, pooler.dbname) for row in rows),
            default_pool_size=default, max_db_connections=_number(config, "max_db_connections", pooler.console),
            file_opted_in=pooler.file is not None, transactions_per_second=_rate(stats),
        )  # fmt: skip

    def default_pool_size(self, database: str) -> int:
        console = _pooler_of(self.poolers, database).console
        return _number(_config(console.rows(SHOW_CONFIG)), "default_pool_size", console)


@dataclass(frozen=True)
class PgbouncerSettings:
    """The `PoolerSettings` port: an opted-in file, and RELOAD."""

    poolers: Mapping[str, PgbouncerConsole]

    def close(self) -> None:
        for pooler in self.poolers.values():
            pooler.console.close()

    def raise_default_pool_size(self, database: str, was: int, to: int) -> None:
        pooler = _pooler_of(self.poolers, database)
        if pooler.file is None:
            raise Permanent(
                f"{database}: the pooler's file is not opted in; set default_pool_size = {to} in it by hand"
            )
        if to <= was:
            raise Permanent(f"{database}: default_pool_size {was} -> {to} is not a raise")
        changed = pooler.file.replace_number("default_pool_size", was, to)
        try:
            pooler.console.rows(RELOAD)
        except Permanent:
            if changed:  # refused: the file must not go off at somebody's later reload
                pooler.file.replace_number("default_pool_size", to, was)
            raise


def _pooler_of(poolers: Mapping[str, PgbouncerConsole], database: str) -> PgbouncerConsole:
    if database not in poolers:
        raise Permanent(f"{database}: no pooler is configured")
    return poolers[database]


def _config(rows: list[Row]) -> dict[str, str]:
    return {row["key"]: row["value"] for row in rows}


def _number(config: Mapping[str, str], key: str, console: KeptConnection) -> int:
    try:
        return int(config[key])
    except (KeyError, ValueError) as problem:
        raise Transient(f"{console.login.name}: SHOW CONFIG tells no number for {key}") from problem


def _pool(row: Row, leads_to: Row, default: int, dbname: str) -> Pool:
    size = int(leads_to.get("pool_size") or default)
    waited = float(row.get("maxwait") or 0) + float(row.get("maxwait_us") or 0) / 1e6
    servers = sum(int(row[name]) for name in row if name.startswith("sv_"))
    return Pool(
        database=row["database"], user=row["user"], clients_active=row["cl_active"], clients_waiting=row["cl_waiting"],
        servers=servers, longest_wait_seconds=waited, size=size, own_size=size != default,
        serves_target=(leads_to.get("database") or row["database"]) == dbname,
    )  # fmt: skip


def _rate(stats: list[dict[str, Any]]) -> float | None:
    rates = [float(row["avg_xact_count"]) for row in stats if row.get("avg_xact_count") is not None]
    return sum(rates) if rates else None
