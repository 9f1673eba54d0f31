"""Real servers for tests: started once, handed out clean.

The fixtures that give them out stand in conftest.py. Nothing here is skipped for want of a program: a missing
one fails the test and names the package that brings it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
from psycopg import sql

from byteport.embedded import EmbeddedRedis, RunningPostgres, RunningRedis

LOOPBACK = "127.0.0.1"
T = TypeVar("T")


def eventually(ask: Callable[[], T], within: float = 5.0, every: float = 0.02) -> T:
    """The first truthy answer; an AssertionError with the last answer or error when none came within the seconds.

    An AssertionError or psycopg/OS error of the question counts as "not yet".
    """
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            answer = ask()
            if answer:
                return answer
            last = answer
        except (AssertionError, OSError, psycopg.Error) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within} s; the last answer was {last!r}")
        time.sleep(every)


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def program(name: str, package: str) -> str:
    """The path of an installed program; without it the test fails and says what to install."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin")
    if found is None:
        pytest.fail(f"{name} is not installed, and this test needs it: apt-get install {package}", pytrace=False)
    return found


@contextmanager
def roomy_folder() -> Iterator[Path]:
    """A temporary folder that a lent account may enter too (pytest's own are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="byteport-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Databases:
    """Hands out fresh databases of one server, owned by its ordinary user."""

    server: RunningPostgres

    @contextmanager
    def fresh(self, template: str = "template1") -> Iterator[str]:
        """The name of a new database, dropped afterwards with whoever is still connected to it."""
        name = f"t_{time.monotonic_ns()}"
        self.run(sql.SQL("CREATE DATABASE {} OWNER byteport TEMPLATE {}"), name, template)
        try:
            yield name
        finally:
            self.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"), name)

    def run(self, statement: sql.SQL, *names: str) -> None:
        """Run one statement as the superuser, its names quoted."""
        with psycopg.connect(self.server.url_of("postgres", user="postgres"), autocommit=True) as connection:
            connection.execute(statement.format(*(sql.Identifier(name) for name in names)))


def clean_redis(server: RunningRedis) -> None:
    """Forget everything, and take back what a test may have configured."""
    import redis

    with redis.Redis.from_url(server.url) as client:
        client.execute_command("CLIENT", "UNPAUSE")
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
        client.flushall()
        client.script_flush()


@dataclass
class OwnRedis:
    """A Redis of the test's own, to be taken down and brought back on the same port."""

    spec: EmbeddedRedis
    server: RunningRedis

    @property
    def url(self) -> str:
        """Database 0."""
        return self.server.url

    def stop(self) -> None:
        """Take it down."""
        self.server.stop()

    def restart(self, *, forgetting: bool = False) -> None:
        """Start it on the same port with the same password; with its data, or having forgotten all of it."""
        self.server.stop()
        if forgetting:
            shutil.rmtree(self.spec.folder / "data")
        spec = EmbeddedRedis(self.spec.folder, self.server.port, self.spec.settings, self.spec.durable)
        self.server = spec.start()
