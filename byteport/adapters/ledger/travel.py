"""Another time for one ledger: what tests of waits, leases and windows stand on."""

from __future__ import annotations

import psycopg
from psycopg import sql


def set_clock_forward(url: str, seconds: float) -> float:
    """Put the ledger's clock forward by `seconds` (back, where negative), on top of what it was put forward before.

    Replaces `byteport.clock()` in that database; every session sees it at once. Returns the whole offset.
    """
    with psycopg.connect(url, connect_timeout=5, application_name="byteport-time-travel") as connection:
        now = connection.execute("select extract(epoch from byteport.clock() - clock_timestamp())::float8").fetchone()
        offset = round((now[0] if now else 0.0) + seconds, 3)
        connection.execute(
            sql.SQL(
                "create or replace function byteport.clock() returns timestamptz language sql volatile as {}"
            ).format(sql.Literal(f"select clock_timestamp() + interval '{offset} seconds'"))
        )
    return offset
