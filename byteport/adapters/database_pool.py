"""The kept connections: one for each database and process, opened at start.

So BytePort can still look when every slot is taken, and is never itself the load. Every call has one deadline that
holds on our side of the wire too: a frozen server or a black hole answers no time-out of its own. A connection that
overran is thrown away, for nobody knows what it would answer next.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, LiteralString, Self, TypeVar

import psycopg
from psycopg import ClientCursor
from psycopg.rows import DictRow, dict_row

from byteport.adapters.database_login import Login, translated
from byteport.errors import OutOfTime

Row = dict[str, Any]
T = TypeVar("T")

UNASKED = 8  # messages that nobody asked for, in a row; who says more is not to be trusted with a question


class _Timed(psycopg.Connection[DictRow]):
    """A connection whose every wait ends at `deadline`."""

    deadline: float = float("inf")

    def wait(self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None) -> T:
        return super().wait(self._timed(gen), interval, timeout)

    def _timed(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if monotonic() >= self.deadline:
                    raise OutOfTime("no answer in time")
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


class KeptConnection:
    """One connection, used by one thread at a time, opened again when it was lost. Never shared with a forked child."""

    def __init__(self, login: Login, opened: Callable[[psycopg.Connection[DictRow]], None] | None = None) -> None:
        self.login = login
        self._opened = opened
        self._turn = threading.Lock()
        self._connection: _Timed | None = None
        self._process = 0

    def open(self) -> Self:
        """Connect now. Raises Transient (no slot, no route, no time), Denied or Permanent."""
        with self._in_turn() as deadline:
            self._live(deadline)
        return self

    def close(self) -> None:
        """Give the slot back; a later call opens anew."""
        with self._turn:
            self._drop()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        kept = self._connection
        return kept is not None and not kept.closed and self._process == os.getpid() and not _hung_up(kept)

    def rows(self, query: LiteralString, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Ask once more where the kept connection turned out to be lost. For questions only."""
        return self.snapshot((query, values))[0]

    def snapshot(self, *questions: tuple[LiteralString, Mapping[str, Any] | None]) -> list[list[Row]]:
        """Several questions to one moment, under one deadline: a transaction keeps one view of the server's activity.

        A pooler's console has no transactions; it is asked one after the other.
        """
        with self._in_turn() as deadline:
            was_open = self.is_open
            try:
                return self._ask(deadline, questions)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not was_open or self.is_open:
                    raise
            return self._ask(deadline, questions)

    def send_once(self, query: LiteralString, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Send a statement that changes something: never sent a second time, whatever happened to the first."""
        with self._in_turn() as deadline:
            self._live(deadline)
            return self._ask(deadline, ((query, values),))[0]

    def _ask(
        self, deadline: float, questions: Sequence[tuple[LiteralString, Mapping[str, Any] | None]]
    ) -> list[list[Row]]:
        connection = self._live(deadline)
        connection.deadline = deadline
        if len(questions) == 1 or self.login.console:
            return [_told(connection.execute(query, values)) for query, values in questions]
        with connection.transaction():
            return [_told(connection.execute(query, values)) for query, values in questions]

    def _live(self, deadline: float) -> _Timed:
        """The kept connection, or a new one."""
        if self._connection is not None and self.is_open:
            return self._connection
        self._drop()
        if monotonic() >= deadline:
            raise OutOfTime("no time left to connect")
        parameters: dict[str, Any] = {**self.login.parameters(), "autocommit": True, "row_factory": dict_row}
        if self.login.console:
            parameters |= {"prepare_threshold": None, "cursor_factory": ClientCursor}
        connection = _Timed.connect(**parameters)
        connection.deadline = deadline
        self._connection, self._process = connection, os.getpid()
        if self._opened is not None:
            self._opened(connection)
        return connection

    def _drop(self) -> None:
        """Close what is ours; a connection that a parent process opened is only forgotten."""
        kept, self._connection = self._connection, None
        if kept is not None and self._process == os.getpid():
            kept.close()

    @contextmanager
    def _in_turn(self) -> Generator[float, None, None]:
        """One call's deadline, waiting for our turn included; foreign errors leave as ours."""
        limit = self.login.limit.total_seconds()
        deadline = monotonic() + limit
        if not self._turn.acquire(timeout=limit):
            raise OutOfTime(f"{self.login.name}: the kept connection was busy for {limit:.0f} s")
        try:
            yield deadline
        except OutOfTime as late:
            self._drop()
            raise OutOfTime(f"{self.login.name}: no answer within {limit:.0f} s") from late
        except (psycopg.Error, UnicodeDecodeError) as problem:
            if self._connection is not None and self._connection.closed:
                self._drop()
            raise translated(problem, self.login) from problem
        except BaseException:
            self._drop()  # a task's soft time limit may have struck in the middle of an answer
            raise
        finally:
            self._turn.release()


def _told(cursor: psycopg.Cursor[DictRow]) -> list[Row]:
    """Its rows; a command such as a pooler's RELOAD has none."""
    return cursor.fetchall() if cursor.description else []


def _hung_up(connection: psycopg.Connection[DictRow]) -> bool:
    """Whether the server has ended an idle connection. What else it said unasked (a changed setting) is taken in."""
    idle = select.poll()
    idle.register(connection.fileno(), select.POLLIN | select.POLLHUP)
    for _ in range(UNASKED):
        if not idle.poll(0):
            return False
        try:
            connection.pgconn.consume_input()
            connection.pgconn.is_busy()
        except psycopg.Error:
            return True
    return True
