"""Client sessions on a patient: real connections that wait, hold locks, run queries, and are closed at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg

from byteport.model.facts.database import SessionRef


@dataclass
class Crowd:
    """Everybody who is connected through it. Use as a context manager."""

    url: str
    people: list[psycopg.Connection[Any]] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def join(self, application: str = "web", url: str = "") -> psycopg.Connection[Any]:
        """One more session, idle."""
        one = psycopg.connect(url or self.url, application_name=application, autocommit=True)
        self.people.append(one)
        return one

    def idle_in_transaction(
        self, n: int = 1, application: str = "web", url: str = "", doing: str = "SELECT 1"
    ) -> list[psycopg.Connection[Any]]:
        """`n` sessions that began, did something, and wait."""
        found = [self.join(application, url) for _ in range(n)]
        for one in found:
            one.execute("BEGIN")
            one.execute(doing)  # type: ignore[call-overload]
        return found

    def fill(self, join: Callable[[], object], most: int = 500) -> None:
        """Until the server has no slot left for one more."""
        with suppress(psycopg.OperationalError):
            for _ in range(most):
                join()
            raise AssertionError(f"{most} sessions did not fill the server")

    def busy(self, doing: str, application: str = "report", url: str = "") -> psycopg.Connection[Any]:
        """One session whose statement runs in a thread; why it ended is noted in `ended`."""
        one = self.join(application, url)
        thread = threading.Thread(target=self._run, args=(one, doing), daemon=True)
        thread.start()
        self.threads.append(thread)
        return one

    def _run(self, one: psycopg.Connection[Any], doing: str) -> None:
        try:
            one.execute(doing)  # type: ignore[call-overload]
            self.ended.append("done")
        except psycopg.Error as problem:
            self.ended.append(type(problem).__name__)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for one in self.people:
            with suppress(psycopg.Error):
                one.cancel_safe(timeout=2)
        for thread in self.threads:
            thread.join(5)
        for one in self.people:
            with suppress(psycopg.Error):
                one.close()


def is_alive(one: psycopg.Connection[Any]) -> bool:
    """Whether its session still answers; a query of its own transaction, so that it stays in it."""
    try:
        one.execute("SELECT 1")
    except psycopg.errors.InFailedSqlTransaction:
        return True
    except psycopg.Error:
        return False
    return True


def ref_of(patient: Any, one: psycopg.Connection[Any]) -> SessionRef:
    """Its identity, with the statement that it ran last."""
    row = patient.run(
        "SELECT pid, backend_start, query_start FROM pg_stat_activity WHERE pid = %s", one.info.backend_pid
    )[0]
    return SessionRef(**row)
