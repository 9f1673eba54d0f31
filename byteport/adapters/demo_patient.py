"""The demo's patient as its own people see it: its set-up, its real clients, and a gauge read from it directly.

Run as a program it is the clients: real connections that each open a transaction, read, and forget to end it.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from byteport.errors import Transient
from byteport.redaction import redact_text

DATABASE = "shop"
CLIENT, PROBER, ACTOR = "shop_web", "byteport_probe", "byteport_act"
GRANTS = {CLIENT: (), PROBER: ("pg_monitor",), ACTOR: ("pg_monitor", "pg_signal_backend")}
URL, COUNT = "BYTEPORT_DEMO_CLIENTS_URL", "BYTEPORT_DEMO_CLIENTS"
READY = "all clients are idle in transaction"

COUNTS = """
    SELECT count(*) FILTER (WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS clients,
           count(*) FILTER (WHERE usename = 'shop_web' AND state = 'idle in transaction') AS stuck,
           count(*) FILTER (WHERE application_name LIKE 'byteport%%') AS ours,
           coalesce(extract(epoch FROM min(now() - state_change)
                    FILTER (WHERE usename = 'shop_web' AND state = 'idle in transaction')), 0)::float8 AS youngest,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true)::int, 0) AS usable
    FROM pg_stat_activity"""


@dataclass(frozen=True)
class Reading:
    """The patient's own figures; whoever reads them is not counted. `youngest` in seconds, of the stuck sessions."""

    clients: int
    stuck: int
    ours: int
    youngest: float
    usable: int

    @property
    def utilization(self) -> float:
        return self.clients / self.usable


def prepare(superuser_url: str, passwords: dict[str, str]) -> None:
    """Make the shop's database, its client's login, and BytePort's two logins with the rights that they need."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        for role, groups in GRANTS.items():
            who = sql.Identifier(role)
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER PASSWORD {}").format(who, sql.Literal(passwords[role]))
            )
            for group in groups:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), who))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*map(sql.Identifier, (DATABASE, CLIENT))))


def read_gauge(superuser_url: str) -> Reading:
    """Ask the patient over a connection of its own, in a slot reserved for superusers. Raises Transient."""
    try:
        with psycopg.connect(superuser_url, autocommit=True, connect_timeout=5) as connection:
            row = connection.execute(COUNTS).fetchone()
    except psycopg.Error as problem:
        raise Transient(f"the patient does not answer: {redact_text(str(problem))}") from problem
    if row is None:
        raise Transient("the patient answered nothing")
    return Reading(*row)


@dataclass
class Clients:
    """Real connections, each held by a thread that waits on its socket as an application's would."""

    url: str
    count: int
    held: int = 0
    ended: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def run(self) -> None:
        """Connect all, say so, and hold them until this process is told to end."""
        for number in range(self.count):
            threading.Thread(target=self._hold, args=(number,), daemon=True).start()
        with self.changed:
            self.changed.wait_for(lambda: self.held == self.count)
        print(READY, flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})

    def _hold(self, number: int) -> None:
        connection: psycopg.Connection[Any] = psycopg.connect(self.url, application_name="shop-web")
        connection.execute("SELECT count(*) FROM pg_catalog.pg_class")  # opens the transaction; nothing ends it
        with self.changed:
            self.held += 1
            self.changed.notify_all()
        select.select([connection.fileno()], [], [])  # readable only when the server hangs up
        with self.changed:
            self.ended += 1
        print(f"client {number} lost its connection", flush=True)


def main() -> None:
    """The clients' process; its address comes in the environment, since a command line is everybody's to read."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    Clients(os.environ[URL], int(os.environ[COUNT])).run()


if __name__ == "__main__":
    main()
