"""Real servers and a real fleet for the benchmark, with what it costs; and how it was configured."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import redis
import yaml
from celery import Celery

from byteport import wiring
from byteport.adapters.ledger.migrations import migrate
from byteport.embedded import EmbeddedPostgres, EmbeddedRedis, RunningPostgres, RunningRedis, folders, free_port
from byteport.embedded.supervision import HASTILY, Kept, Member
from byteport.model.signal import Mode
from byteport.settings import Settings
from tests.bench.meter import Statements, commands, cpu_of
from tests.bench.pages import DONE
from tests.proxy import TcpProxy
from workers.app import celery_settings
from workers.wakeups import CeleryWakeups

ROOT = Path(__file__).parents[2]
SECRET = "only-for-the-benchmark-0123456789"
# The three limits that are policy, raised so that many incidents are under way at once; all other guards stand.
POLICY = {"storm_threshold": 10_000, "max_concurrent_remediations": 1000, "first_day_rate": 1000}
POSTGRES = {"shared_preload_libraries": "pg_stat_statements", "max_connections": 200, "shared_buffers": "128MB"}
PAGE = "from tests.bench.pages import READERS, RUNBOOK, WRITERS\n"
WORKERS = ("probe", "act", "decide")


@dataclass
class Stage:
    """`world` is this process's own way to the stores; `members` run from `start` to the end of the context."""

    folder: Path
    postgres: RunningPostgres
    redis: RunningRedis
    world: wiring.Wired
    bells: CeleryWakeups
    environment: dict[str, str]
    web_port: int
    members: dict[str, Kept] = field(default_factory=dict)

    @cached_property
    def database(self) -> psycopg.Connection[Any]:
        """The ledger's, past the ledger, as its superuser."""
        return psycopg.connect(self.postgres.superuser_url, autocommit=True)

    def know(self, targets: int) -> None:
        """An inventory, of which a tenth may be under remediation at once."""
        self.database.execute(
            "insert into byteport.targets (kind, key, within, coordinates, first_seen, last_seen) "
            "select 'service', 'known-' || n, '{}', '{}', now(), now() from generate_series(1, %s) n",
            [targets],
        )

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis.url)

    @property
    def statements(self) -> Statements:
        return Statements(self.postgres.superuser_url)

    def start(self, *names: str, module: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        """Members of the fleet by their role: a worker's, `beat` or `web`; `act-2` is a second one of its role."""
        for name in names:
            role = name.partition("-")[0]
            what = module or (("byteport.web",) if role == "web" else ("workers", role))
            more = () if role in ("web", "beat") or module else (f"--hostname={name}@%h",)
            argv = (sys.executable, "-P", "-m", *what, *more)
            told = {**self.environment, **(environment or {})}
            self.members[name] = Kept(
                Member(name, argv, told, folders.fresh_log(self.folder / f"{name}.log"), self.folder)
            )
            self.members[name].start()

    def stop(self, *names: str) -> None:
        for name in names or tuple(self.members):
            self.members.pop(name).stop(HASTILY)

    def cpu(self, *names: str) -> float:
        """CPU seconds until now of these members, or of all, and of both stores."""
        pids = [self.members[name].pid for name in (names or tuple(self.members))]
        return cpu_of([pid for pid in pids if pid]) + self.cpu_of_stores()

    def cpu_of_stores(self) -> float:
        return cpu_of([self.postgres.pid, self.redis.pid])

    def commands(self) -> Any:
        with self.client as client:
            return commands(client)


@contextmanager
def stage(
    folder: Path | None = None, *, policy: Mapping[str, Any] = POLICY, config: Mapping[str, Any] | None = None,
    page: str = PAGE, durable: bool = True, environment: Mapping[str, str] | None = None,
    door: Callable[[int], TcpProxy] | None = None,
) -> Iterator[Stage]:  # fmt: skip
    """A ledger and a Redis as `byteport up` has them, the benchmark's page promoted; no member runs yet. Everybody
    reaches the ledger through the door, where there is one."""
    with ExitStack() as undo:
        if folder is None:
            folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="byteport-bench-")))
            folder.chmod(0o711)
        postgres = EmbeddedPostgres(folder / "postgres", settings=POSTGRES, durable=durable).start()
        undo.callback(postgres.stop)
        broker = EmbeddedRedis(folder / "redis").start()
        undo.callback(broker.stop)
        port = free_port()
        ledger = door(postgres.port).through(postgres.url) if door is not None else postgres.url
        told = {**_environment(folder, ledger, broker, port, policy, config or {}, page), **(environment or {})}
        migrate(postgres.url)
        Statements(postgres.superuser_url).prepare()
        app = Celery("bench", set_as_current=False)
        app.conf.update(celery_settings(Settings(broker_url=broker.url)))
        bells = CeleryWakeups(app)
        world = undo.enter_context(wiring.build(Settings.load(environ=told), role="cli", wakeups=bells))
        world.ledger.promote("bench", Mode.LIVE, "benchmark", "the benchmark acts")
        made = Stage(folder, postgres, broker, world, bells, told, port)
        undo.callback(made.stop)
        yield made


def _environment(
    folder: Path, ledger: str, broker: RunningRedis, port: int, policy: Mapping[str, Any],
    config: Mapping[str, Any], page: str,
) -> dict[str, str]:  # fmt: skip
    pages = folder / "pages"
    pages.mkdir(exist_ok=True)
    (pages / "bench.py").write_text(page, encoding="utf-8")
    done = folder / "done"
    done.mkdir(exist_ok=True)
    whole: dict[str, Any] = {
        "database_url": ledger, "broker_url": broker.url, "data_dir": str(folder), "pages_folder": str(pages),
        "policy": dict(policy), "pollers": {"database": {"enabled": False}}, "web": {"port": port, "token": SECRET},
        "webhooks": {"generic": {"secret": SECRET}}, **config,
    }  # fmt: skip
    path = folder / "byteport.yaml"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BYTEPORT_")}
    return {
        **inherited,
        "BYTEPORT_CONFIG": str(path),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        DONE: str(done),
    }


def until(so: Callable[[], bool], within: float, what: str, every: float = 0.01) -> None:
    """Wait for what other processes do. Raises TimeoutError."""
    deadline = time.monotonic() + within
    while not so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:.0f} s: {what}")
        time.sleep(every)
