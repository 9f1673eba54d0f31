"""Row 11: whether an incident costs the same with a long history, and with more worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg

from tests.bench.row import Goal, Row, alternated, compared
from tests.bench.shapes import BytePort
from tests.bench.stage import Stage, stage

FEW, MANY, MANY_QUICKLY = 1_000, 1_000_000, 50_000
# A closed incident as the fleet left it, over and over under other names and long ago.
AT_ONCE = 50_000


def rows(quick: bool, say: Callable[[str], None]) -> Iterator[Row]:
    many = MANY_QUICKLY if quick else MANY
    rounds, count = (3, 20) if quick else (7, 40)
    with stage() as young, stage() as old:
        fleets = [_fleet(place) for place in (young, old)]
        for place, stored in ((young, FEW), (old, many)):
            fill(place, stored, say)
        pairs = alternated(rounds, lambda: fleets[1].batch(count).cpu_each, lambda: fleets[0].batch(count).cpu_each)
        what = f"CPU of an incident with {many:,} stored"
        yield compared(11, what, Goal("<=", 1.1), pairs, unit="s", against=f"with {FEW:,} stored")
        old.stop()
        for processes in (2, 4):
            yield more_processes(fleets[0], processes, rounds, count)


def more_processes(fleet: BytePort, processes: int, rounds: int, count: int) -> Row:
    """`processes` acting and probing workers in turn with one of each; all of them are started, some of them stand by."""
    extra = [f"{role}-{n}" for role in ("probe", "act") for n in range(2, processes + 1)]

    def crowd() -> float:
        fleet.stage.start(*extra)
        try:
            fleet.batch(8 * processes)
            return fleet.batch(count).cpu_each
        finally:
            fleet.stage.stop(*extra)

    pairs = alternated(rounds, crowd, lambda: fleet.batch(count).cpu_each)
    what = f"CPU of an incident with {processes} workers of each kind"
    return compared(11, what, Goal("<=", 1.1), pairs, unit="s", against="with one of each")


def _fleet(place: Stage) -> BytePort:
    made = BytePort(place)
    made.begin()
    return made


def fill(place: Stage, count: int, say: Callable[[str], None]) -> None:
    """So many closed incidents with everything that belongs to them. Raises AssertionError where none has closed yet."""
    say(f"storing {count:,} incidents")
    with psycopg.connect(place.postgres.superuser_url, autocommit=True) as connection:
        found = connection.execute("select id from byteport.incidents where phase = 'closed' limit 1").fetchone()
        assert found is not None
        connection.execute("set session_replication_role = replica")  # the lines are copies, with the hashes they had
        for begin in range(0, count, AT_ONCE):
            _copy(connection, str(found[0]), begin, min(begin + AT_ONCE, count))
        connection.execute("analyze")


def _copy(connection: psycopg.Connection[tuple[object, ...]], pattern: str, begin: int, end: int) -> None:
    span = {"pattern": pattern, "begin": begin, "end": end}
    connection.execute(
        """
        insert into byteport.incidents
        select (jsonb_populate_record(i, jsonb_build_object(
            'id', 'old-' || n, 'target_key', 'old-' || n, 'opened_at', i.opened_at - n * interval '7 seconds',
            'closed_at', i.closed_at - n * interval '7 seconds', 'acted_at', i.acted_at - n * interval '7 seconds'))).*
        from byteport.incidents i, generate_series(%(begin)s, %(end)s - 1) n where i.id = %(pattern)s
        """,
        span,
    )
    for table in ("journal_heads", "evidence", "probe_groups", "postmortems", "events"):
        connection.execute(
            f"""
            insert into byteport.{table}
            select (jsonb_populate_record(t, jsonb_build_object('incident', 'old-' || n))).*
            from byteport.{table} t, generate_series(%(begin)s, %(end)s - 1) n where t.incident = %(pattern)s
            """.encode(),
            span,
        )
    connection.execute(
        """
        insert into byteport.intents
        select (jsonb_populate_record(t, jsonb_build_object(
            'key', 'old-' || n, 'incident', 'old-' || n, 'subject', 'valve:old-' || n))).*
        from byteport.intents t, generate_series(%(begin)s, %(end)s - 1) n where t.incident = %(pattern)s
        """,
        span,
    )
