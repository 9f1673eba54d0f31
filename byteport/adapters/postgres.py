"""PostgreSQL: what a server tells about its sessions, and the two ways to end what one of them does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import DictRow

from byteport.adapters import postgres_sql as sql
from byteport.adapters.database_login import Login
from byteport.adapters.database_pool import KeptConnection, Row
from byteport.adapters.sql_fingerprint import fingerprint
from byteport.errors import BytePortError, Denied, Permanent, Transient
from byteport.model.facts.database import (
    ApplicationUse,
    DatabaseLimits,
    ReplicaLag,
    Session,
    SessionRef,
    Standing,
    StateBreakdown,
    Utilization,
    WaitEvent,
    WaitEvents,
)

SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    "search_path": "pg_catalog,pg_temp",
    "timezone": "UTC",
    "datestyle": "ISO",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}
_KEEP_IDLE = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"


def reading_login(database: str, conninfo: str) -> Login:
    """The probing identity: read-only by its session's setting, and by its grants."""
    return Login(name=database, conninfo=conninfo, application="byteport-probe", settings=SETTINGS)


def acting_login(database: str, conninfo: str) -> Login:
    """The acting identity: signalling a session writes no data, so it too is read-only."""
    return Login(database, conninfo, "byteport-act", timedelta(seconds=6), settings=SETTINGS)


def kept(login: Login) -> KeptConnection:
    """A connection that the server will not close for being idle (PostgreSQL 14 has a time-out for that)."""
    return KeptConnection(login, opened=_stay)


def _stay(connection: psycopg.Connection[DictRow]) -> None:
    connection.execute(_KEEP_IDLE)


@dataclass(frozen=True)
class KeptPatients:
    """One kept connection for each database."""

    patients: Mapping[str, KeptConnection]

    def open(self) -> dict[str, BytePortError]:
        """Take every kept connection now; the databases that could not be reached, and why."""
        return open_all(self.patients)

    def close(self) -> None:
        for connection in self.patients.values():
            connection.close()


class PostgresDatabases(KeptPatients):
    """The `Database` port."""

    def limits(self, database: str) -> DatabaseLimits:
        return DatabaseLimits(**patient_of(self.patients, database).rows(sql.LIMITS)[0])

    def utilization(self, database: str) -> Utilization:
        row = seen(database, patient_of(self.patients, database).rows(sql.UTILIZATION))
        return Utilization(clients=row["clients"], usable=row["usable"])

    def state_breakdown(self, database: str) -> StateBreakdown:
        counts, idle, standing, applications = patient_of(self.patients, database).snapshot(
            (sql.COUNTS, None), (sql.IDLE_SESSIONS, None), (sql.STANDING, None), (sql.APPLICATIONS, None)
        )
        return StateBreakdown(
            **_without(seen(database, counts), "sees_all"),
            idle_sessions=tuple(_session(row) for row in idle),
            standing=tuple(Standing(**row) for row in standing),
            applications=tuple(ApplicationUse(**row) for row in applications),
        )

    def wait_events(self, database: str) -> WaitEvents:
        rights, top, queries = patient_of(self.patients, database).snapshot(
            (sql.RIGHTS, None), (sql.WAITS, None), (sql.QUERIES, None)
        )
        seen(database, rights)
        return WaitEvents(top=tuple(WaitEvent(**row) for row in top), queries=tuple(_session(row) for row in queries))

    def replica_lag(self, database: str) -> ReplicaLag:
        rows = patient_of(self.patients, database).rows(sql.REPLICA_LAG)
        if not rows:
            return ReplicaLag()
        seen(database, rows)
        if unknown := [row["name"] for row in rows if row["behind"] is None]:
            raise Transient(f"{database}: replica {unknown[0]!r} has told nothing yet, its lag is unknown")
        furthest = max(rows, key=lambda row: int(row["behind"]))
        return ReplicaLag(replicas=len(rows), bytes_behind=max(0, furthest["behind"]), furthest=furthest["name"])

    def still_there(self, database: str, sessions: tuple[SessionRef, ...]) -> tuple[SessionRef, ...]:
        return still_there(patient_of(self.patients, database), database, sessions)


def open_all(patients: Mapping[str, KeptConnection]) -> dict[str, BytePortError]:
    """Take every slot now; one unreachable database does not keep the others' from being taken."""
    problems: dict[str, BytePortError] = {}
    for database, connection in patients.items():
        try:
            connection.open()
        except BytePortError as problem:
            problems[database] = problem
    return problems


def patient_of(patients: Mapping[str, KeptConnection], database: str) -> KeptConnection:
    if database not in patients:
        raise Permanent(
            f"{database}: no such database in the configuration ({', '.join(sorted(patients)) or 'it has none'})"
        )
    return patients[database]


def seen(database: str, rows: Sequence[Row]) -> Row:
    """The first row, if the login could see other users' sessions at all: hidden is not the same as idle."""
    if not rows[0]["sees_all"]:
        raise Denied(f"{database}: other users' sessions are hidden from this login: GRANT pg_monitor TO it")
    return rows[0]


def _without(row: Row, name: str) -> Row:
    return {key: value for key, value in row.items() if key != name}


def _session(row: Row) -> Session:
    text = bytes(row["query"] or b"").decode("utf-8", "replace")
    return Session(**{**_without(row, "query"), "fingerprint": fingerprint(text)})


def bound(sessions: tuple[SessionRef, ...]) -> dict[str, Any]:
    return {
        "pids": [ref.pid for ref in sessions],
        "starts": [ref.backend_start for ref in sessions],
        "queries": [ref.query_start for ref in sessions],
    }


def still_there(connection: KeptConnection, database: str, sessions: tuple[SessionRef, ...]) -> tuple[SessionRef, ...]:
    if not sessions:
        return ()
    rights, rows = connection.snapshot((sql.RIGHTS, None), (sql.STILL_THERE, bound(sessions)))
    seen(database, rights)
    found = {(row["pid"], row["backend_start"], row["query_start"]) for row in rows}
    return tuple(ref for ref in sessions if (ref.pid, ref.backend_start, ref.query_start) in found)
