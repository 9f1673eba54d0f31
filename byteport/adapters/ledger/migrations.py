"""The ledger's schema: plain SQL files in order, each applied once and remembered with its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import psycopg
from psycopg.rows import dict_row

from byteport.adapters.ledger.connection import Cursor, translated
from byteport.errors import Permanent

_TABLE = """
create table if not exists byteport.migrations (
    number integer primary key, name text not null, digest text not null,
    applied_at timestamptz not null default clock_timestamp()
)
"""


@dataclass(frozen=True)
class Migration:
    """One file: `0001_incidents.sql` is number 1."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known_migrations() -> tuple[Migration, ...]:
    """What this release brings, in order."""
    folder = files("byteport.adapters.ledger").joinpath("migrations")
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return tuple(
        Migration(int(entry.name.split("_")[0]), entry.name, entry.read_text(encoding="utf-8"))
        for entry in sorted(found, key=lambda entry: entry.name)
    )


def migrate(url: str) -> list[str]:
    """Apply what is missing, all or none, under an advisory lock: safe to run twice and from everywhere at once.

    Returns the names applied. Raises Permanent when the ledger was migrated by other files, and Unavailable.
    """
    with (
        translated(),
        psycopg.connect(
            url, row_factory=dict_row, connect_timeout=5, application_name="byteport-migrate"
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('byteport.migrate', 1))")
        cursor.execute("create schema if not exists byteport")
        cursor.execute(_TABLE)
        missing = _missing(cursor)
        for migration in missing:
            cursor.execute(migration.sql.encode())
            cursor.execute(
                "insert into byteport.migrations (number, name, digest) values (%s, %s, %s)",
                [migration.number, migration.name, migration.digest],
            )
    return [migration.name for migration in missing]


def check_schema(cursor: Cursor) -> None:
    """Raises Permanent unless the ledger has exactly this release's migrations."""
    cursor.execute("select to_regclass('byteport.migrations') is not null as there")
    row = cursor.fetchone()
    missing = _missing(cursor) if row is not None and row["there"] else list(known_migrations())
    if missing:
        names = ", ".join(migration.name for migration in missing)
        raise Permanent(f"the ledger's schema is not current, run `byteport migrate` (missing: {names})")


def _missing(cursor: Cursor) -> list[Migration]:
    """What is yet to be applied. Raises Permanent unless what was applied is the beginning of what is known."""
    cursor.execute("select number, name, digest from byteport.migrations order by number")
    applied = cursor.fetchall()
    known = known_migrations()
    for row, migration in zip(applied, known, strict=False):
        if (row["number"], row["digest"]) != (migration.number, migration.digest):
            raise Permanent(f"the ledger was migrated by another {row['name']} than this release has")
    if newer := applied[len(known) :]:
        names = ", ".join(row["name"] for row in newer)
        raise Permanent(f"the ledger was migrated by a newer release ({names}): run that release")
    return list(known[len(applied) :])
