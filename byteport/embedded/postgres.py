"""A PostgreSQL server of our own, from a Python wheel, on the loopback address."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from signal import SIGINT, SIGQUIT, Signals
from typing import Self

from byteport.embedded import folders
from byteport.embedded.accounts import lent_account
from byteport.embedded.children import Child, Command, start_child, wait_until_ready
from byteport.embedded.errors import NotStarted
from byteport.embedded.loopback import LOOPBACK, free_port
from byteport.embedded.postgres_files import PostgresFiles, installation

START_PATIENCE = timedelta(seconds=60)
FAST_THEN_IMMEDIATE: tuple[tuple[Signals, float], ...] = ((SIGINT, 20.0), (SIGQUIT, 5.0))
PORT_TRIES = 3
FRUGAL = {"shared_buffers": "32MB", "max_connections": "100", "log_line_prefix": "%m [%p] %q%u@%d ", "timezone": "UTC"}
SAFE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
FLEETING = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off"}


@dataclass(frozen=True)
class RunningPostgres:
    """A server that answered. `url` logs in as the owner of its database, `superuser_url` as the superuser."""

    child: Child
    port: int
    log: Path
    data: Path
    passwords: Mapping[str, str] = field(repr=False)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self.child.pid

    @property
    def url(self) -> str:
        """Where the database `byteport` is, for its owner `byteport`, who is no superuser."""
        return self.url_of("byteport")

    @property
    def superuser_url(self) -> str:
        """Where the database `byteport` is, for the superuser `postgres`."""
        return self.url_of("byteport", user="postgres")

    def url_of(self, database: str, *, user: str = "byteport") -> str:
        """A URL of any database of this server, for one of its two users."""
        return f"postgresql://{user}:{self.passwords[user]}@{LOOPBACK}:{self.port}/{database}"

    def stop(self) -> None:
        """End all sessions and the server, with everything written; returns when it is gone."""
        self.child.stop(FAST_THEN_IMMEDIATE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A server to be: its data folder, port (0: a free one) and settings.

    `durable` keeps every commit through a power cut; without it nothing is synced, for servers that are thrown
    away. `orphan_safe` makes the kernel end the server when this process is killed.
    """

    folder: Path
    port: int = 0
    settings: Mapping[str, str | int] = field(default_factory=dict)
    durable: bool = True
    orphan_safe: bool = True

    def start(self, within: timedelta = START_PATIENCE) -> RunningPostgres:
        """Start it, making the database at the first start; returns when it answers, raises NotStarted otherwise."""
        deadline = time.monotonic() + within.total_seconds()
        account = lent_account()
        folder = self.folder.absolute()
        with folders.held(folder, deadline) as lock:
            place = folders.place_for(folder, account)
            files = PostgresFiles(installation(account), place, account)
            files.prepare(self.durable, deadline)
            for tries_left in reversed(range(PORT_TRIES)):
                try:
                    return self._start_on(self.port or free_port(), files, lock, deadline)
                except NotStarted as refusal:
                    if self.port or not tries_left or "could not bind" not in str(refusal):
                        raise
        raise AssertionError("unreachable: the last try returns or raises")

    def remove(self) -> None:
        """Delete the data of a stopped server, wherever it is kept."""
        folders.remove(self.folder.absolute())

    def _start_on(self, port: int, files: PostgresFiles, lock: int, deadline: float) -> RunningPostgres:
        files.drop_stale_pid()
        command = Command(
            argv=(str(files.program("postgres")), "-D", str(files.data), *self._options(port)),
            cwd=files.place,
            log=folders.fresh_log(files.log),
            account=files.account,
            dies_with_us=SIGINT if self.orphan_safe else None,
            keeps_open=(lock,),
        )
        child = start_child(command)
        wait_until_ready(child, lambda: files.says_ready(child.pid), "PostgreSQL", files.log, deadline)
        return RunningPostgres(child, port, files.log, files.data, files.passwords())

    def _options(self, port: int) -> tuple[str, ...]:
        fixed = {"port": port, "listen_addresses": LOOPBACK, "unix_socket_directories": ""}
        settings = FRUGAL | (SAFE if self.durable else FLEETING) | dict(self.settings) | fixed
        return tuple(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
