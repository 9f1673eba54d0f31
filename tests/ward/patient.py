"""The ward's own record is the witness: what was done is read from the patient, never from BytePort's ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from byteport.errors import Permanent, Transient
from byteport.model.base import Value

SCHEMA = """
create table if not exists valves (
    name text primary key, value int not null default 0, leaking bool not null default true,
    stuck bool not null default false, broken bool not null default false);
create table if not exists effects (
    intent text not null, kind text not null, valve text not null, at timestamptz not null default clock_timestamp(),
    before int not null, after int not null);
"""


class Valve(Value):
    """A valve as it is now. `leaking` is the sickness, `value` how far it is closed."""

    name: str
    value: int
    leaking: bool
    stuck: bool
    broken: bool


class Gauge(Value):
    """What another connection tells of the valve."""

    pressure: int


@dataclass(frozen=True)
class Ward:
    """The patient's port, for looking and for acting. Every call is a connection of its own."""

    url: str

    def prepare(self, *names: str, **columns: Any) -> None:
        """Make the tables, and these valves as given."""
        with self._connection() as c:
            c.execute(SCHEMA)
            for name in names:
                c.execute("insert into valves (name) values (%s) on conflict (name) do nothing", [name])
        for name in names:
            for column, value in columns.items():
                self.set(name, column, value)

    def set(self, name: str, column: str, value: Any) -> None:
        statement = psycopg.sql.SQL("update valves set {} = %s where name = %s").format(psycopg.sql.Identifier(column))
        with self._connection() as c:
            c.execute(statement, [value, name])

    def valve(self, name: str) -> Valve:
        """Raises Permanent for a valve that has vanished, Transient for a broken one."""
        with self._connection() as c:
            row = c.execute("select * from valves where name = %s", [name]).fetchone()
        if row is None:
            raise Permanent(f"no valve {name!r}")
        valve = Valve(**row)
        if valve.broken:
            raise Transient(f"valve {name!r} does not answer")
        return valve

    def change(self, name: str, kind: str, intent: str, to: int | None, was: int | None) -> None:
        """One statement at the target: `to` None is a pulse, which adds one; a set demands `was`."""
        with self._connection() as c:
            row = c.execute("select * from valves where name = %s for update", [name]).fetchone()
            if row is None:
                raise Permanent(f"no valve {name!r}")
            if row["stuck"]:
                raise Permanent(f"valve {name!r} is stuck")
            if was is not None and row["value"] not in (was, to):
                raise Permanent(f"valve {name!r} is at {row['value']} by now, not at {was}")
            after = row["value"] + 1 if to is None else to
            c.execute(
                "update valves set value = %s, leaking = leaking and %s < 1 where name = %s", [after, after, name]
            )
            c.execute(
                "insert into effects (intent, kind, valve, before, after) values (%s, %s, %s, %s, %s)",
                [intent, kind, name, row["value"], after],
            )

    def has_effect(self, intent: str) -> bool:
        with self._connection() as c:
            return c.execute("select 1 from effects where intent = %s", [intent]).fetchone() is not None

    def effects(self, name: str | None = None) -> list[dict[str, Any]]:
        """Everything that was ever done, in order."""
        with self._connection() as c:
            rows = c.execute("select * from effects order by at").fetchall()
        return [row for row in rows if name is None or row["valve"] == name]

    def doubled(self) -> list[dict[str, Any]]:
        """Effects that happened twice: a pulse with two rows, or a set whose second row changed something."""
        found = []
        for intent, kind in {(e["intent"], e["kind"]) for e in self.effects()}:
            rows = [e for e in self.effects() if e["intent"] == intent and e["kind"] == kind]
            if kind == "pulse" and len(rows) > 1:
                found += rows[1:]
            elif kind != "pulse":
                found += [row for row in rows[1:] if row["before"] != row["after"]]
        return found

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            yield connection
