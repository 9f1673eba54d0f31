"""The campaign's patient: valves on a PostgreSQL of their own, and a table without a unique key that counts effects.

Every change is one statement that sleeps before and after it writes, so that there is a time in which a process can be
killed while its effect is under way. The statement goes on at the server when its client is gone, as real ones do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import dict_row

from byteport.errors import Permanent, Transient
from byteport.model.base import Value

ADDRESS = "CHAOS_PATIENT_URL"
LONGEST_STATEMENT = 4.0  # seconds, below the 5 s time-out of every action here
SCHEMA = """
create table if not exists valves (
    name text primary key, value int not null default 0, version int not null default 0, leaking bool not null default true);
create table if not exists effects (
    intent text not null, kind text not null, page text not null, valve text not null, amount int not null,
    began timestamptz not null, at timestamptz not null default clock_timestamp(), before int not null, after int not null);
create table if not exists relapses (valve text not null);
create index if not exists effects_by_intent on effects (intent);

create or replace function change(
    of_intent text, of_valve text, of_kind text, of_page text, amount int, target int, demanded int,
    sleep_before float, sleep_after float) returns void language plpgsql as $$
declare
    began timestamptz := clock_timestamp();
    valve record;
    following int;
begin
    perform pg_sleep(sleep_before);
    select * into valve from valves where name = of_valve for update;
    if not found then
        raise exception 'no valve %', of_valve;
    end if;
    if demanded is not null and valve.version <> demanded and valve.value is distinct from target then
        raise exception 'valve % is at version % by now, not at %', of_valve, valve.version, demanded;
    end if;
    following := coalesce(target, valve.value + 1);
    update valves set value = following, version = version + (valve.value <> following)::int,
        leaking = leaking and following < 1 where name = of_valve;
    insert into effects (intent, kind, page, valve, amount, began, before, after)
    values (of_intent, of_kind, of_page, of_valve, amount, began, valve.value, following);
    perform pg_sleep(sleep_after);
end $$;
"""


class Valve(Value):
    """`leaking` is the sickness, `value` how far it is closed; `version` counts its changes."""

    name: str
    value: int
    version: int
    leaking: bool


@dataclass(frozen=True)
class Patient:
    """The patient's port, for looking and for acting. Every call is a connection of its own."""

    url: str

    def valve(self, name: str) -> Valve:
        rows = self.ask("select * from valves where name = %s", name)
        if not rows:
            raise Permanent(f"no valve {name!r}")
        return Valve(**rows[0])

    def has_effect(self, intent: str) -> bool:
        """Slow now and then, so that processes can be killed while they look."""
        rows = self.ask(
            "/* looks */ select pg_sleep(%s), exists (select from effects where intent = %s) as found",
            _pause(intent, "look") * 0.3, intent,
        )  # fmt: skip
        return bool(rows[0]["found"])

    def change(
        self, intent: str, valve: str, kind: str, page: str, amount: int, target: int | None, demanded: int | None
    ) -> None:
        """One statement. `target` None turns by one; a target demands the version that was seen before."""
        before, after = _pause(intent, "before"), _pause(intent, "after")
        self.ask(
            "/* acts */ select change(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            intent, valve, kind, page, amount, target, demanded, before, after,
        )  # fmt: skip

    def ask(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """One statement, committed. Raises Transient for a server out of reach, Permanent for a refusal."""
        with _translated(), self._connection() as connection:
            cursor = psycopg.ClientCursor(connection)
            cursor.execute(statement, values)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []

    def relapse(self, valve: str) -> None:
        """It leaks again, by nobody's doing."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("insert into relapses (valve) values (%s)", [valve])
            connection.execute("update valves set leaking = true where name = %s", [valve])

    def prepare(self, valves: Sequence[str]) -> None:
        """The tables and these valves, all leaking."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(SCHEMA)
            connection.cursor().executemany(
                "insert into valves (name) values (%s) on conflict do nothing", [(name,) for name in valves]
            )

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """Its name at the server tells which process it belongs to."""
        with psycopg.connect(
            self.url, autocommit=True, row_factory=dict_row, connect_timeout=3,
            application_name=f"ward-{os.getpid()}", options=f"-c statement_timeout={LONGEST_STATEMENT}s",
        ) as connection:  # fmt: skip
            yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except errors.RaiseException as refusal:
        raise Permanent(str(refusal).splitlines()[0]) from refusal
    except psycopg.Error as problem:
        raise Transient(f"the ward does not answer: {type(problem).__name__}") from problem


def _pause(intent: str, which: str) -> float:
    """Seconds from 0 to 0.7, the same for an intent every time."""
    return 0.7 * (int.from_bytes(f"{which}{intent}".encode()[-4:], "big") * 2654435761 % 1000) / 1000


def from_environment() -> Patient:
    """For the pages, in every process of the fleet."""
    return Patient(os.environ[ADDRESS])
