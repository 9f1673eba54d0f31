"""Ending and cancelling PostgreSQL sessions: one statement judges the live rows and signals those still due."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_network
from time import monotonic, sleep
from typing import Any, LiteralString

from byteport.adapters import postgres_sql as sql
from byteport.adapters.database_pool import KeptConnection, Row
from byteport.adapters.postgres import KeptPatients, bound, patient_of, seen, still_there
from byteport.errors import Denied, Permanent, Transient
from byteport.model.facts.database import SessionRef
from byteport.ports_database import SessionFate, Spared

GONE_WITHIN = 2.0
LOOK_AGAIN_EVERY = 0.05


class PostgresSessions(KeptPatients):
    """The `DatabaseSessions` port, as the acting identity."""

    def end_idle(
        self, database: str, sessions: tuple[SessionRef, ...], idle_for: timedelta, spared: Spared
    ) -> tuple[SessionFate, ...]:
        return self._signal(sql.END_IDLE, database, sessions, {**_words(spared), "idle_for": idle_for})

    def end_statement(self, database: str, sessions: tuple[SessionRef, ...], spared: Spared) -> tuple[SessionFate, ...]:
        return self._signal(sql.END_STATEMENT, database, _named_statements(sessions), _words(spared))

    def cancel(self, database: str, sessions: tuple[SessionRef, ...], spared: Spared) -> tuple[SessionFate, ...]:
        return self._signal(sql.CANCEL, database, _named_statements(sessions), _words(spared))

    def _signal(
        self, statement: LiteralString, database: str, sessions: tuple[SessionRef, ...], values: Mapping[str, Any]
    ) -> tuple[SessionFate, ...]:
        if not sessions:
            return ()
        connection = patient_of(self.patients, database)
        seen(database, connection.rows(sql.RIGHTS))  # a lost connection is noticed here, before anything is sent
        rows = connection.send_once(statement, {**bound(sessions), **values})
        due = tuple(_ref(row) for row in rows if row["fate"] == "due")
        if not due and any(row["fate"] == "denied" for row in rows):
            raise Denied(f"{database}: may not signal these sessions: GRANT pg_signal_backend TO the acting login")
        left = _left_after(connection, database, due)
        return tuple(_fate(row, left) for row in rows)


def _left_after(connection: KeptConnection, database: str, sessions: tuple[SessionRef, ...]) -> set[SessionRef]:
    """Those of the signalled that are still there after at most two seconds, or of which that cannot be told."""
    until = monotonic() + GONE_WITHIN
    left = sessions
    try:
        while left := still_there(connection, database, left):
            if monotonic() >= until:
                break
            sleep(LOOK_AGAIN_EVERY)
    except Transient:
        pass  # the signals are sent; that the server does not answer now must not look as if they were not
    return set(left)


def _ref(row: Row) -> SessionRef:
    return SessionRef(pid=row["pid"], backend_start=row["backend_start"], query_start=row["query_start"])


def _fate(row: Row, left: set[SessionRef]) -> SessionFate:
    ref, fate = _ref(row), row["fate"]
    if fate == "due":
        fate = "signalled" if ref in left else "ended"
    return SessionFate(ref=ref, fate=fate, has_written=row["has_written"])


def _words(spared: Spared) -> dict[str, Any]:
    words = [word.strip().lower() for word in spared.words if word.strip()]
    return {"words": words, "networks": [network for word in words if (network := _network(word))]}


def _network(word: str) -> str:
    try:
        return str(ip_network(word, strict=False))
    except ValueError:
        return ""


def _named_statements(sessions: tuple[SessionRef, ...]) -> tuple[SessionRef, ...]:
    """Refuse a session that stands for whatever it may run next."""
    if nameless := [ref for ref in sessions if ref.query_start is None]:
        raise Permanent(f"{nameless[0]}: a statement is named by its query_start")
    return sessions
