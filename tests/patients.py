"""Small PostgreSQL servers to make ill."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from byteport.embedded import EmbeddedPostgres, RunningPostgres

LOOPBACK = "127.0.0.1"


@dataclass
class Patient:
    """A small PostgreSQL to make ill. It has the database `app`, owned by the ordinary user `byteport`."""

    spec: EmbeddedPostgres
    server: RunningPostgres

    @property
    def port(self) -> int:
        """Where it listens on the loopback address."""
        return self.server.port

    @property
    def url(self) -> str:
        """The database `app` for the ordinary user `byteport`."""
        return self.server.url_of("app")

    @property
    def superuser_url(self) -> str:
        """The database `app` for the superuser `postgres`."""
        return self.server.url_of("app", user="postgres")

    def url_for(self, role: str, password: str, database: str = "app") -> str:
        """The URL for a role that the test made itself."""
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self.port}/{database}"

    def run(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Run one statement as the superuser in `app` on a connection of its own; rows as dicts."""
        with self._superuser("app") as connection:
            cursor = connection.execute(statement, parameters or None)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []

    def role(self, name: str, *, member_of: tuple[str, ...] = (), superuser: bool = False) -> str:
        """Make a login role and return its URL for `app`; its password is its name."""
        kind = sql.SQL("SUPERUSER" if superuser else "NOSUPERUSER")
        with self._superuser("app") as connection:
            who = sql.Identifier(name)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(who, kind, sql.Literal(name)))
            for group in member_of:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), who))
        return self.url_for(name, name)

    def client_backends(self) -> int:
        """How many client sessions there are now, without the one that asks."""
        rows = self.run(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(rows[0]["n"])

    def stop(self) -> None:
        """Take it down; `restart` brings it back on the same port with its data."""
        self.server.stop()

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same port."""
        self.server.stop()
        fixed = EmbeddedPostgres(self.spec.folder, self.server.port, self.spec.settings, durable=False)
        self.server = fixed.start()

    def clean(self) -> None:
        """End every session and remove what a test made: databases, roles, altered settings, a stopped server."""
        try:
            self._clean()
        except psycopg.OperationalError:
            self.restart()
            self._clean()

    def end_sessions(self) -> None:
        """End every client session; returns when they are gone."""
        with self._superuser("postgres") as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    def _clean(self) -> None:
        self.end_sessions()
        with self._superuser("postgres") as connection:
            connection.execute("ALTER SYSTEM RESET ALL")
            connection.execute("SELECT pg_reload_conf()")
            for prepared in _names(connection, "SELECT gid FROM pg_prepared_xacts"):
                connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(prepared)))
            for name in _names(connection, "SELECT datname FROM pg_database WHERE NOT datistemplate"):
                if name not in ("postgres", "byteport"):
                    connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            for name in _names(
                connection, r"SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|postgres$|byteport$)'"
            ):
                connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
            for group in _names(
                connection, "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'byteport'::regrole"
            ):
                connection.execute(sql.SQL("REVOKE {} FROM byteport").format(sql.Identifier(group)))
            connection.execute("ALTER ROLE byteport RESET ALL")
            connection.execute("CREATE DATABASE app OWNER byteport")

    def _superuser(self, database: str) -> psycopg.Connection[dict[str, Any]]:
        url = self.server.url_of(database, user="postgres")
        return psycopg.connect(url, autocommit=True, row_factory=dict_row, application_name="test harness")


def _names(connection: psycopg.Connection[dict[str, Any]], question: str) -> list[str]:
    return [str(next(iter(row.values()))) for row in connection.execute(question)]  # type: ignore[call-overload]


@dataclass
class Patients:
    """The patients of one test session, kept by their settings, since starting one costs half a second."""

    folder: Path
    idle: dict[tuple[tuple[str, str], ...], list[Patient]] = field(default_factory=dict)
    started: list[Patient] = field(default_factory=list)

    def lend(self, settings: Mapping[str, str | int]) -> Patient:
        """A clean patient with these settings (PostgreSQL's names)."""
        waiting = self.idle.setdefault(_key(settings), [])
        patient = waiting.pop() if waiting else self._new(settings)
        patient.clean()
        return patient

    def give_back(self, patient: Patient) -> None:
        """Its sessions end now, so that nothing goes on using it; it is cleaned when it is lent again."""
        with suppress(psycopg.OperationalError):
            patient.end_sessions()
        self.idle[_key(patient.spec.settings)].append(patient)

    def stop(self) -> None:
        """Take all of them down."""
        for patient in self.started:
            patient.stop()

    def _new(self, settings: Mapping[str, str | int]) -> Patient:
        spec = EmbeddedPostgres(self.folder / f"patient-{len(self.started)}", settings=dict(settings), durable=False)
        patient = Patient(spec, spec.start())
        self.started.append(patient)
        return patient


def _key(settings: Mapping[str, str | int]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in settings.items()))
