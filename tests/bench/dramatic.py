"""Another engine for background work as it is meant to be used: a group of eight, whose completion starts a pipeline of
four, on a Redis of its own; nothing is journalled and nothing is checked."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import dramatiq
import psutil
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend as Counting

from byteport.embedded import EmbeddedRedis, RunningRedis, folders
from byteport.embedded.supervision import HASTILY, Kept, Member
from tests.bench.meter import cpu_of
from tests.bench.shapes import Spent
from tests.bench.stage import ROOT, Stage, until

URL = "BENCH_DRAMATIQ_URL"
ENDED = "bench:ended"
PROBES = 8
PATIENCE = 120.0


def broker_at(url: str) -> RedisBroker:
    made = RedisBroker(url=url)
    made.add_middleware(GroupCallbacks(Counting(url=url)))
    return made


if os.environ.get(URL):
    dramatiq.set_broker(broker_at(os.environ[URL]))


@dramatiq.actor(max_retries=0)
def probe(_n: int) -> None:
    """Nothing."""


@dramatiq.actor(max_retries=0)
def step(_last: int) -> None:
    """Nothing."""


@dramatiq.actor(max_retries=0)
def last_step(_last: int) -> None:
    """Count it, so that its end is seen."""
    _client().incr(ENDED)


@dramatiq.actor(max_retries=0)
def classify() -> None:
    """All probes are in: the other steps follow, one after the other."""
    dramatiq.pipeline([step.message(1), step.message_with_options(args=(1,), pipe_ignore=True),
                       last_step.message_with_options(args=(1,), pipe_ignore=True)]).run()  # fmt: skip


def _client() -> Any:
    return dramatiq.get_broker().client  # type: ignore[attr-defined]


@dataclass
class Dramatiq:
    """One process of eight threads, as it is started by default."""

    redis: RunningRedis
    worker: Kept
    client: redis.Redis
    ended: int = 0

    def batch(self, count: int) -> Spent:
        before, began = self._cpu(), time.monotonic()
        for _ in range(count):
            group = dramatiq.group(probe.message(n) for n in range(PROBES))
            group.add_completion_callback(classify.message())
            group.run()
        self.ended += count
        until(lambda: int(self.client.get(ENDED) or 0) >= self.ended, PATIENCE, "every group ends", every=0.02)
        took = time.monotonic() - began
        return Spent(count, took, self._cpu() - before)

    def _cpu(self) -> float:
        return cpu_of([pid for pid in (self.worker.pid, self.redis.pid) if pid]) + time.process_time()


@contextmanager
def group_and_pipeline(stage: Stage) -> Iterator[Dramatiq]:
    """Beside a stage, in its folder."""
    with EmbeddedRedis(stage.folder / "dramatiq").start() as server:
        broker = broker_at(server.url)
        dramatiq.set_broker(broker)
        for actor in (probe, step, last_step, classify):
            actor.broker = broker
            broker.declare_actor(actor)
        argv = (sys.executable, "-P", "-m", "dramatiq", "tests.bench.dramatic", "--processes", "1", "--threads", "8")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), URL: server.url}
        worker = Kept(
            Member("dramatiq", argv, environment, folders.fresh_log(stage.folder / "dramatiq.log"), stage.folder)
        )
        worker.start()
        try:
            made = Dramatiq(server, worker, redis.Redis.from_url(server.url))
            for _ in range(2):
                made.batch(8)
            yield made
        finally:
            its = psutil.Process(worker.pid).children(recursive=True) if worker.pid else []
            worker.stop(HASTILY)
            for one in its:  # they outlive a parent that had to be ended
                with suppress(psutil.NoSuchProcess):
                    one.kill()
