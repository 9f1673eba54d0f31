"""The servers of a campaign, each behind a door that can be cut, stalled and restored."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from byteport.embedded import EmbeddedPostgres, EmbeddedRedis, RunningPostgres, RunningRedis
from tests.chaos.channel import CountingSlack, listening
from tests.proxy import TcpProxy

POSTGRES = {"max_connections": 200, "shared_buffers": "64MB"}


@dataclass
class Stores:
    """`doors` by name; `folder` keeps the data between an interruption and its resumption."""

    ledger: RunningPostgres
    patient: RunningPostgres
    redis_spec: EmbeddedRedis
    redis: RunningRedis
    channel: CountingSlack
    doors: dict[str, TcpProxy] = field(default_factory=dict)

    @property
    def patient_url(self) -> str:
        return self.patient.url

    def flush_redis(self) -> None:
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()

    def stop_redis(self, how: str) -> None:
        """`restart redis` keeps its data, `kill redis` what had reached its file, `empty redis` nothing."""
        if how == "kill redis":
            os.kill(self.redis.pid, signal.SIGKILL)
        self.redis.stop()
        if how == "empty redis":
            shutil.rmtree(self.redis_spec.folder / "data")

    def end_redis(self) -> None:
        """The one that runs by then."""
        self.redis.stop()

    def start_redis(self) -> None:
        spec = self.redis_spec
        self.redis = EmbeddedRedis(spec.folder, self.redis.port, spec.settings, spec.durable).start()


@contextmanager
def serving(folder: Path) -> Iterator[Stores]:
    """Start everything, on the data that is there; stop everything when left."""
    with ExitStack() as undo:
        ledger = EmbeddedPostgres(folder / "ledger", settings=POSTGRES, durable=False).start()
        undo.callback(ledger.stop)
        patient = EmbeddedPostgres(folder / "patient", settings=POSTGRES, durable=False).start()
        undo.callback(patient.stop)
        spec = EmbeddedRedis(folder / "redis", settings={"appendfsync": "everysec"})
        channel = undo.enter_context(listening(folder / "messages.jsonl"))
        stores = Stores(ledger, patient, spec, spec.start(), channel)
        undo.callback(stores.end_redis)
        ports = {"ledger": ledger.port, "redis": stores.redis.port, "patient": patient.port, "channel": channel.port}
        for name, port in ports.items():
            stores.doors[name] = undo.enter_context(TcpProxy(port))
        yield stores


def remove(folder: Path) -> None:
    """The data of a campaign that has ended."""
    for name in ("ledger", "patient"):
        EmbeddedPostgres(folder / name).remove()
    shutil.rmtree(folder, ignore_errors=True)
