"""A pgbouncer in front of a patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from typing import Any

import psycopg
from psycopg.rows import dict_row

from byteport.embedded import free_port
from byteport.embedded.accounts import lent_account
from byteport.embedded.children import Child, Command, start_child
from tests.patients import Patient
from tests.servers import LOOPBACK, eventually, program


@dataclass
class Pooler:
    """A pgbouncer in front of a patient. Everybody's password is their name; the admin is `pgb_admin`."""

    ini: Path
    log: Path
    port: int
    database: str
    user: str
    child: Child

    @property
    def url(self) -> str:
        """The pooled database for the ordinary user (connect with prepare_threshold=None)."""
        return self._url(self.user, self.database)

    @property
    def admin_url(self) -> str:
        """The console with the right to RELOAD, PAUSE and so on."""
        return self._url("pgb_admin", "pgbouncer")

    @property
    def stats_url(self) -> str:
        """The console with the right to SHOW only."""
        return self._url("pgb_stats", "pgbouncer")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.child.pid

    def show(self, what: str) -> list[dict[str, Any]]:
        """The rows of SHOW POOLS, SHOW CLIENTS and so on."""
        with psycopg.connect(
            self.admin_url, autocommit=True, prepare_threshold=None, cursor_factory=psycopg.ClientCursor
        ) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            return list(cursor.execute(f"SHOW {what}").fetchall())  # type: ignore[arg-type]

    def reload(self) -> None:
        """Read the ini again (SIGHUP)."""
        self.child.process.send_signal(SIGHUP)

    def stop(self) -> None:
        """Take it down at once."""
        self.child.stop(((SIGINT, 0.5), (SIGTERM, 5.0)))

    def _url(self, user: str, database: str) -> str:
        return f"postgresql://{user}:{user}@{LOOPBACK}:{self.port}/{database}"


def start_pooler(folder: Path, patient: Patient, settings: Mapping[str, str | int], user: str = "pooled") -> Pooler:
    """A pgbouncer for the patient's database `app`, logging in there as a role of its own."""
    binary = program("pgbouncer", "pgbouncer")
    patient.role(user, member_of=("byteport",))
    folder.mkdir(parents=True)
    port, ini, users = free_port(), folder / "pgbouncer.ini", folder / "users"
    names = (user, "pgb_admin", "pgb_stats", "byteport")
    users.write_text("".join(f'"{name}" "{name}"\n' for name in names), encoding="utf-8")
    pool = {key: settings[key] for key in ("pool_size", "min_pool_size", "reserve_pool") if key in settings}
    rest = {key: value for key, value in settings.items() if key not in pool}
    options = {
        "listen_addr": LOOPBACK, "listen_port": port, "unix_socket_dir": "", "auth_type": "scram-sha-256",
        "auth_file": users, "admin_users": "pgb_admin", "stats_users": "pgb_stats", "pool_mode": "transaction",
        "max_client_conn": 50, "default_pool_size": 2, "ignore_startup_parameters": "extra_float_digits,options",
        **rest,
    }  # fmt: skip
    target = " ".join(
        f"{key}={value}" for key, value in {"host": LOOPBACK, "port": patient.port, "dbname": "app", **pool}.items()
    )
    lines = ["[databases]", f"app = {target}", "[pgbouncer]", *(f"{key} = {value}" for key, value in options.items())]
    ini.write_text("\n".join(lines) + "\n", encoding="utf-8")
    account = lent_account()
    log = folder / "log"
    if account:
        for path in (folder, ini, users):
            account.take(path)
    child = start_child(Command((binary, str(ini)), folder, log, account, dies_with_us=SIGTERM))
    pooler = Pooler(ini, log, port, "app", user, child)
    eventually(lambda: pooler.show("VERSION"), within=10)
    return pooler
