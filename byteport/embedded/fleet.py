"""The whole fleet on one machine: servers unless real ones are named, workers, beat, Flower and the HTTP service."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from byteport.adapters.ledger.migrations import migrate
from byteport.embedded import folders
from byteport.embedded.errors import NotStarted
from byteport.embedded.loopback import LOOPBACK, free_port
from byteport.embedded.postgres import EmbeddedPostgres
from byteport.embedded.redis import EmbeddedRedis
from byteport.embedded.supervision import HASTILY, WARMLY, Kept, Member
from byteport.settings import Settings
from byteport.settings.sources import file_of

PACKAGES = Path(__file__).parents[2]  # where byteport and workers are imported from
WORKERS = ("probe", "act", "decide")
CLOCK = "beat"
STOPS_FIRST = (CLOCK, "web", "flower")  # nothing new comes in while the workers finish what they have
FLOWER_USER = "byteport"
STORES = ("database_url", "broker_url", "budgets_url")


@dataclass(frozen=True)
class Addresses:
    """Where people find it, and what lets them in."""

    console: str
    flower: str
    token: str = field(repr=False)
    data_dir: Path
    stores: Mapping[str, str] = field(default_factory=dict, repr=False)
    pid: int = field(default_factory=os.getpid)

    def as_json(self) -> str:
        """For commands on the same machine: also the stores' addresses, by the names of the configuration."""
        told = {"console": self.console, "flower": self.flower, "token": self.token, "flower_user": FLOWER_USER}
        since = datetime.now(UTC).isoformat()
        whole = {**told, **self.stores, "data_dir": str(self.data_dir), "pid": self.pid, "since": since}
        return json.dumps(whole, indent=2, sort_keys=True)


@dataclass
class Fleet:
    """Everything that `byteport up` runs. Use as `with Fleet(settings, say).running() as fleet: fleet.tend()`.

    `without` leaves members out, to be started later by `start_member`; `config` is the file that was named, if any.
    """

    settings: Settings
    say: Callable[[str], None]
    inherited: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    without: Sequence[str] = ()
    config: Path | None = None
    kept: dict[str, Kept] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    in_haste: bool = False

    @property
    def folder(self) -> Path:
        return self.settings.data_dir.absolute()

    @contextmanager
    def running(self) -> Iterator[Addresses]:
        """Start everything, and end everything when left. Raises NotStarted; a second one on this folder is refused."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            undo.enter_context(alone_in(self.folder))
            self.environment = self._environment(self._servers(undo))
            self._migrate()
            addresses = self._addresses()
            undo.callback(self._stop_members)
            for name in (*WORKERS, "web", "flower", CLOCK):
                if name not in self.without:
                    self.start_member(name)
            undo.callback(private(self.folder / "up.json", self._state(addresses)).unlink, missing_ok=True)
            yield addresses

    def tend(self) -> None:
        """Restart what has ended; say so."""
        for kept in list(self.kept.values()):
            if said := kept.tend():
                self.say(said)

    def start_member(self, name: str) -> None:
        """Start a member that is not running yet."""
        member = Member(
            name=name, argv=(sys.executable, "-P", "-m", *MODULES.get(name, ("workers", name))),
            environment=self.environment, log=self._logs() / f"{name}.log", cwd=self.folder,
        )  # fmt: skip
        self.kept[name] = Kept(member)
        self.kept[name].start()

    # -- servers -----------------------------------------------------------------------------------------------------
    def _servers(self, undo: ExitStack) -> dict[str, str]:
        """The stores' addresses by variable, for those that nobody configured; both servers start at the same time."""
        own: dict[str, Callable[[], tuple[str, Callable[[], None]]]] = {}
        if self.settings.in_clear("database_url") is None:
            own["BYTEPORT_DATABASE_URL"] = self._own_postgres
        if self.settings.in_clear("broker_url") is None:
            own["BYTEPORT_BROKER_URL"] = self._own_redis
        with ThreadPoolExecutor(max_workers=2) as pool:
            started = {name: pool.submit(start) for name, start in own.items()}
        urls: dict[str, str] = {}
        for name, future in started.items():
            if future.exception() is None:
                urls[name], stop = future.result()
                undo.callback(stop)
        for future in started.values():
            future.result()  # raises NotStarted, with what did start on its way down
        return urls

    def _own_postgres(self) -> tuple[str, Callable[[], None]]:
        server = EmbeddedPostgres(self.folder / "postgres").start()
        return server.url, server.stop

    def _own_redis(self) -> tuple[str, Callable[[], None]]:
        server = EmbeddedRedis(self.folder / "redis").start()
        return server.url, server.stop

    def _migrate(self) -> None:
        """Bring the ledger's tables up to date, in this process, before anybody needs them."""
        migrate(Settings.load(environ=self.environment).ledger_dsn)

    # -- what members are given --------------------------------------------------------------------------------------
    def _environment(self, urls: Mapping[str, str]) -> dict[str, str]:
        told = {**self.inherited, **urls, "BYTEPORT_DATA_DIR": str(self.folder), "PYTHONUNBUFFERED": "1"}
        if (file := file_of(self.config, self.inherited)) is not None:
            told["BYTEPORT_CONFIG"] = str(file.absolute())
        told["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PACKAGES), self.inherited.get("PYTHONPATH", ""))))
        if self.settings.web.in_clear("token") is None:
            token = self.folder / "console-token"
            folders.secret(token)
            told["BYTEPORT_WEB__TOKEN_FILE"] = str(token)
        if self.settings.web.port == 0:
            told["BYTEPORT_WEB__PORT"] = str(free_port())
        told |= {
            "FLOWER_ADDRESS": LOOPBACK, "FLOWER_PORT": str(free_port()),
            "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{folders.secret(self.folder / 'flower-password')}",
        }  # fmt: skip
        return told

    def _addresses(self) -> Addresses:
        settings = Settings.load(environ=self.environment)
        stores = {
            "database_url": settings.ledger_dsn, "broker_url": settings.broker_dsn, "budgets_url": settings.budgets_dsn
        }  # fmt: skip
        flower = f"http://{LOOPBACK}:{self.environment['FLOWER_PORT']}"
        return Addresses(settings.web.url, flower, settings.web.in_clear("token") or "", self.folder, stores)

    def _state(self, addresses: Addresses) -> str:
        """`up.json`: the addresses, and the stores, so that other commands of this user find a running fleet."""
        stores = {name: self.environment.get(f"BYTEPORT_{name.upper()}", "") for name in STORES}
        told = json.loads(addresses.as_json()) | {name: url for name, url in stores.items() if url}
        return json.dumps(told, indent=2, sort_keys=True)

    def _logs(self) -> Path:
        logs = self.folder / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        return logs

    # -- the end -----------------------------------------------------------------------------------------------------
    def _stop_members(self) -> None:
        steps = HASTILY if self.in_haste else WARMLY
        first = [kept for name, kept in self.kept.items() if name in STOPS_FIRST]
        then = [kept for name, kept in self.kept.items() if name not in STOPS_FIRST]
        for batch in (first, then):
            with ThreadPoolExecutor(max_workers=max(1, len(batch))) as pool:
                list(pool.map(lambda kept: kept.stop(steps), batch))


MODULES: dict[str, tuple[str, ...]] = {"web": ("byteport.web",)}


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One fleet for one folder. Raises NotStarted that says who is there."""
    handle = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotStarted(
                f"byteport is up on {folder} already{_who(folder)}; stop it, or choose another --data-dir"
            ) from None
        yield
    finally:
        os.close(handle)


def _who(folder: Path) -> str:
    try:
        told = json.loads((folder / "up.json").read_text(encoding="utf-8"))
        return f" (process {told['pid']}, console {told['console']})"
    except (OSError, ValueError, KeyError):
        return ""


def private(path: Path, text: str) -> Path:
    """Write a file that its owner alone may read, whole or not at all."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    made.replace(path)
    return path
