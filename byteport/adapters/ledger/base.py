"""What every part of the ledger stands on: its database, and the few words that all of them use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

from byteport.adapters.ledger.connection import Cursor, Database
from byteport.adapters.ledger.rows import clean, json
from byteport.errors import BadInput, Permanent, Stale
from byteport.records.change import Lease
from byteport.records.event import Event

T = TypeVar("T")


class Stored:
    """One part of the ledger."""

    def __init__(self, database: Database, *, storm_threshold: int = 20) -> None:
        self.database = database
        self.storm_threshold = storm_threshold
        self.inventory: dict[str, tuple[int, float]] = {}  # known targets by kind, and when they were counted

    def run(self, work: Callable[[Cursor], T]) -> T:
        """`work` in one transaction, repeated after a deadlock."""
        return self.database.run(work)

    def rows(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        """All rows of one statement of ours, in a transaction of its own."""
        return self.database.rows(sql, parameters)

    def row(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> dict[str, Any] | None:
        """The first row, if any."""
        found = self.rows(sql, parameters)
        return found[0] if found else None


ENDS: dict[str, type[Permanent | Stale]] = {"BP001": Stale, "BP002": Permanent}


def word_of(refused: Permanent) -> str | None:
    """The SQLSTATE that PostgreSQL gave, where it was PostgreSQL that refused."""
    cause = refused.__cause__
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None


@contextmanager
def ended() -> Iterator[None]:
    """The functions' own words for why something is not done: BP001 a claim has passed on, BP002 it may not be."""
    try:
        yield
    except Permanent as refused:
        cause = refused.__cause__
        if not isinstance(cause, psycopg.Error) or cause.sqlstate not in ENDS:
            raise
        raise ENDS[cause.sqlstate](cause.diag.message_primary or str(refused)) from refused


def lock_incident(cursor: Cursor, incident: str) -> dict[str, Any]:
    """The incident's row, locked until the transaction ends. Raises BadInput for an unknown one."""
    cursor.execute("select * from byteport.incidents where id = %s for no key update", [incident])
    row = cursor.fetchone()
    if row is None:
        raise BadInput("incident", f"the id of an incident, got {incident!r}")
    return row


def lock_as_holder(cursor: Cursor, lease: Lease) -> dict[str, Any]:
    """The same for who holds the claim. Raises Stale when it is another's by now, or the incident is gone."""
    try:
        row = lock_incident(cursor, lease.incident)
    except BadInput as gone:
        raise Stale(f"incident {lease.incident} is gone") from gone
    if row["lease_token"] != lease.token or row["phase"] == "closed":
        raise Stale(f"the claim on {lease.incident} has passed on")
    return row


def now_of(cursor: Cursor) -> Any:
    """One reading of the clock, after the locks were waited for; the whole transaction uses it."""
    row = cursor.execute("select byteport.clock() as now").fetchone()
    return row["now"] if row else None


def advise(cursor: Cursor, realm: str, keys: Sequence[str]) -> None:
    """Advisory locks on keys of one realm until the transaction ends, in sorted order so that none deadlock."""
    cursor.execute(
        "select pg_advisory_xact_lock(hashtextextended(key, 1)) from unnest(%s::text[]) as key", [in_order(realm, keys)]
    )


def in_order(realm: str, keys: Sequence[str]) -> list[str]:
    """The names of the locks, in the order in which everybody takes them."""
    return sorted({f"{realm}:{clean(key)}" for key in keys})


def append(cursor: Cursor, incident: str, events: Sequence[Event]) -> None:
    """Lines at the end of the incident's chain, in this order (a trigger numbers, dates and hashes them)."""
    if not events:
        return
    cursor.execute(
        """
        insert into byteport.events (incident, kind, text, data)
        select %s, kind, text, data
        from unnest(%s::text[], %s::text[], %s::jsonb[]) with ordinality as e (kind, text, data, n) order by n
        """,
        [incident, [clean(e.kind) for e in events], [clean(e.text) for e in events], [json(e.data) for e in events]],
    )


def renew_locks(cursor: Cursor, incident: str) -> None:
    """Another 15 min for what the incident holds. A lapsed lock that is still there was taken by nobody since."""
    cursor.execute(
        "update byteport.locks set until = byteport.clock() + interval '15 minutes' where incident = %s", [incident]
    )
