"""Connections to the ledger: one small pool a process, and one place where PostgreSQL's errors become ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from select import POLLIN, poll
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from byteport.errors import Denied, Permanent, Unavailable
from byteport.redaction import redact_text

T = TypeVar("T")
Cursor: TypeAlias = psycopg.Cursor[DictRow]
Connection: TypeAlias = psycopg.Connection[DictRow]
Pool: TypeAlias = ConnectionPool[Connection]
Parameters: TypeAlias = Sequence[Any] | dict[str, Any]

PATIENCE = timedelta(seconds=5)
TRIES = 5
LIMITS = (
    "-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s -c timezone=UTC "
    "-c default_transaction_isolation=read\\ committed"
)
NOT_MIGRATED = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction, errors.InvalidSchemaName)
OUT_OF_REACH = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)


class Database:
    """Hands out transactions. The pool is opened when first needed and belongs to the process that opened it, so that
    a child that was forked off never speaks on its parent's sockets."""

    def __init__(
        self, url: str, *, most: int = 4, check: Callable[[Cursor], None] | None = None, patience: timedelta = PATIENCE
    ) -> None:
        self._url = url
        self._most = most
        self._check = check
        self._patience = patience.total_seconds()
        self._pools: dict[int, Pool] = {}  # those of a parent stay listed: closing them here would end its sessions
        self._locks: dict[int, threading.Lock] = {}

    def run(self, work: Callable[[Cursor], T]) -> T:
        """`work` in one transaction, again after a deadlock. Raises Unavailable, Denied, Permanent."""
        return _patiently(lambda: self._once(work))

    def rows(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """All rows of one statement, which PostgreSQL makes a transaction by itself: one round trip instead of three.
        Again after a deadlock, and where a kept connection turns out to have died before it was asked."""
        return _patiently(lambda: self._ask(sql.encode(), parameters))

    def _ask(self, sql: bytes, parameters: Parameters) -> list[dict[str, Any]]:
        with translated():
            pool = self._pool()
            connection = self._alive(pool)
            try:
                with connection.cursor() as cursor:
                    cursor.execute(sql, parameters)
                    result = cursor.pgresult  # `description` would describe every column
                    return cursor.fetchall() if result is not None and result.nfields else []
            finally:
                pool.putconn(connection)

    def _alive(self, pool: Pool) -> Connection:
        """One whose server has not hung up: a restarted server's goodbye lies in the socket, which costs no trip."""
        for _ in range(self._most):
            connection = pool.getconn()
            if not _has_hung_up(connection):
                return connection
            connection.close()
            pool.putconn(connection)
        return pool.getconn()

    def _once(self, work: Callable[[Cursor], T]) -> T:
        with self.transaction() as cursor:
            return work(cursor)

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Committed when the block ends, rolled back when it raises."""
        with translated():
            pool = self._pool()
            connection = self._begin(pool)
            try:
                with connection.cursor() as cursor:
                    yield cursor
                connection.execute("commit")
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute("rollback")
                raise
            finally:
                pool.putconn(connection)

    def close(self) -> None:
        """Let go of this process's connections."""
        if (pool := self._pools.pop(os.getpid(), None)) is not None:
            pool.close()

    def _begin(self, pool: Pool) -> Connection:
        """A kept connection may have died with a restarted server; nothing was asked of it yet, so take another."""
        for _ in range(self._most):
            connection = pool.getconn()
            try:
                connection.execute("begin")
            except OUT_OF_REACH:
                pool.putconn(connection)
            else:
                return connection
        connection = pool.getconn()
        try:
            connection.execute("begin")
        except BaseException:
            pool.putconn(connection)
            raise
        return connection

    def _pool(self) -> Pool:
        process = os.getpid()
        if (pool := self._pools.get(process)) is not None:
            return pool
        with self._locks.setdefault(process, threading.Lock()):
            if process not in self._pools:
                self._pools[process] = self._opened()
            return self._pools[process]

    def _opened(self) -> Pool:
        pool: Pool = ConnectionPool(
            self._url,
            kwargs=_settings(self._url),
            min_size=1,
            max_size=self._most,
            timeout=self._patience,
            reconnect_timeout=2.0,
            num_workers=1,
            name="byteport-ledger",
            open=False,
        )
        pool.open()
        try:
            if self._check is not None:
                with pool.connection() as connection, connection.cursor() as cursor:
                    self._check(cursor)
        except BaseException:
            pool.close()
            raise
        return pool


class _Again(Unavailable):
    """The database ended this transaction in favour of another."""


def _patiently(ask: Callable[[], T]) -> T:
    for _ in range(TRIES - 1):
        with suppress(_Again):
            return ask()
    try:
        return ask()
    except _Again as still:
        raise Unavailable(f"the ledger is too busy: {still}") from still


def _has_hung_up(connection: Connection) -> bool:
    """An idle connection has nothing to say but that it ends."""
    waiting = poll()
    waiting.register(connection.fileno(), POLLIN)
    return bool(waiting.poll(0))


def _settings(url: str) -> dict[str, Any]:
    given = str(conninfo_to_dict(url).get("options") or "")
    return {
        "autocommit": True,
        "row_factory": dict_row,
        "connect_timeout": 5,
        "application_name": "byteport-ledger",
        "options": f"{given} {LIMITS}".strip(),
    }


@contextmanager
def translated() -> Iterator[None]:
    """PostgreSQL's errors as ours, the cause chained, the text clipped and without secrets."""
    try:
        yield
    except (errors.DeadlockDetected, errors.SerializationFailure) as lost:
        raise _Again(_text(lost)) from lost
    except OUT_OF_REACH as gone:
        raise Unavailable(f"the ledger did not answer: {_text(gone)}") from gone
    except NOT_MIGRATED as missing:
        raise Permanent(f"the ledger's schema is not there, run `byteport migrate`: {_text(missing)}") from missing
    except errors.InsufficientPrivilege as denied:
        raise Denied(f"the ledger's login may not do this: {_text(denied)}") from denied
    except psycopg.Error as wrong:
        raise Permanent(f"the ledger refused: {_text(wrong)}") from wrong


def _text(error: Exception) -> str:
    return redact_text(str(error) or type(error).__name__)[:300]
