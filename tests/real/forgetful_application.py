"""Runs in a container: makes the logins that BytePort needs in a database, then forgets five transactions there."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import psycopg

LOGINS = {"shop_app": (), "byteport_probe": ("pg_monitor",), "byteport_act": ("pg_monitor", "pg_signal_backend")}


def main(host: str, password_file: str) -> None:
    password = Path(password_file).read_text(encoding="ascii").strip()
    where = f"host={host} dbname=shop password={password}"
    with psycopg.connect(where, user="shop_owner", autocommit=True) as owner:
        for name, roles in LOGINS.items():
            owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            for role in roles:
                owner.execute(f"GRANT {role} TO {name}")
    forgotten = [psycopg.connect(where, user="shop_app", application_name="shop") for _ in range(5)]
    for connection in forgotten:
        connection.execute("SELECT 1")
    print(f"{len(forgotten)} transactions forgotten", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
