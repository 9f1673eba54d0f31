"""The two that are compared: BytePort's whole course of an incident, and a bare chord of the same shape."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from celery.result import AsyncResult

from byteport.embedded import EmbeddedRedis, RunningRedis, folders
from byteport.embedded.supervision import HASTILY, Kept, Member
from byteport.model.signal import Severity, Signal
from byteport.model.target import Target, TargetKind
from tests.bench import chord
from tests.bench.meter import commands, cpu_of
from tests.bench.stage import ROOT, WORKERS, Stage, until

PATIENCE = 120.0
KNOWN = 20_000  # targets of the inventory, of which a tenth may be under remediation at once
FIRST_CHANGE = """
select extract(epoch from i.answered_at - s.received_at) from byteport.intents i
join byteport.signals s on s.incident = i.incident where i.incident = any(%s) and i.answered_at is not null
"""


@dataclass(frozen=True)
class Spent:
    """What a batch of incidents took: seconds until the last had ended, CPU seconds of everything that had a part in
    it (this process as the publisher too), and calls of the stores by kind."""

    incidents: int
    seconds: float
    cpu: float
    by_part: dict[str, float] = field(default_factory=dict)
    redis: Counter[str] = field(default_factory=Counter)
    statements: Counter[str] = field(default_factory=Counter)

    @property
    def cpu_each(self) -> float:
        return self.cpu / self.incidents


@dataclass
class BytePort:
    """A whole fleet on a stage."""

    stage: Stage
    sent: int = 0

    def begin(self) -> None:
        """The inventory, the workers, and a few incidents until everybody is warm."""
        self.stage.know(KNOWN)
        self.stage.start(*WORKERS, "beat")  # a wait is a date, which the sweeper keeps
        for _ in range(3):
            self.batch(8)

    def send(self) -> str:
        """A signal, stored, and its doorbell rung; the incident."""
        self.sent += 1
        target = Target(kind=TargetKind.SERVICE, key=f"valve-{self.sent}")
        now = datetime.now(UTC)
        signal = Signal(name="bench", source="bench", fired_at=now, severity=Severity.WARNING, target=target)
        admission = self.stage.world.engine.take(signal)
        assert admission is not None
        return str(admission.incident)

    def ended(self, incidents: list[str]) -> bool:
        asked = (
            "select count(*) from byteport.incidents where id = any(%s) and phase = 'closed' and ending = 'resolved'"
        )
        return bool(self.stage.database.execute(asked, [incidents]).fetchone() == (len(incidents),))

    def batch(self, count: int) -> Spent:
        """So many at once, until all have ended."""
        before, began = self._cpu(), time.monotonic()
        redis, statements = self.stage.commands(), self.stage.statements.counted()
        sent = [self.send() for _ in range(count)]
        until(lambda: self.ended(sent), PATIENCE, "every incident ends", every=0.02)
        took, after = time.monotonic() - began, self._cpu()
        spent = {name: after[name] - before[name] for name in after}
        return Spent(
            count, took, sum(spent.values()), spent, self.stage.commands() - redis,
            self.stage.statements.counted() - statements,
        )  # fmt: skip

    def one_by_one(self, count: int) -> None:
        for _ in range(count):
            self.send_and_wait()

    def send_and_wait(self) -> str:
        """One incident, with nothing beside it, until it has ended."""
        incident = self.send()
        until(lambda: self.ended([incident]), PATIENCE, "the incident ends", every=0.02)
        return incident

    def latency(self) -> float:
        """Seconds from the stored signal to the first change, of one incident with nothing beside it."""
        incident = self.send_and_wait()
        (seconds,) = self.stage.database.execute(FIRST_CHANGE, [[incident]]).fetchone() or (None,)
        return float(seconds)

    def _cpu(self) -> dict[str, float]:
        parts = {name: cpu_of([pid]) for name, kept in self.stage.members.items() if (pid := kept.pid)}
        stores = {"postgres": cpu_of([self.stage.postgres.pid]), "redis": cpu_of([self.stage.redis.pid])}
        return {**parts, **stores, "publisher": time.process_time()}


@dataclass
class Chord:
    """Celery alone, on a Redis of its own."""

    redis: RunningRedis
    worker: Kept

    def batch(self, count: int) -> Spent:
        before, began, calls = self._cpu(), time.monotonic(), commands_of(self.redis)
        sent: list[Any] = [chord.send() for _ in range(count)]
        for one in sent:
            _wait(one)
        took, after = time.monotonic() - began, self._cpu()
        spent = {name: after[name] - before[name] for name in after}
        return Spent(count, took, sum(spent.values()), spent, commands_of(self.redis) - calls)

    def latency(self) -> float:
        """Seconds until the last of the twelve has ended, of one with nothing beside it."""
        began = time.time()
        one: Any = chord.send()
        return float(_wait(one)) - began

    def _cpu(self) -> dict[str, float]:
        pids = {"worker": self.worker.pid, "redis": self.redis.pid}
        return {**{name: cpu_of([pid]) for name, pid in pids.items() if pid}, "publisher": time.process_time()}


def _wait(one: AsyncResult[Any]) -> Any:
    found = one.get(timeout=PATIENCE)
    one.forget()
    return found


def commands_of(server: RunningRedis) -> Counter[str]:
    import redis

    with redis.Redis.from_url(server.url) as client:
        return commands(client)


@contextmanager
def bare_chord(stage: Stage) -> Iterator[Chord]:
    """Beside a stage, in its folder."""
    with EmbeddedRedis(stage.folder / "chord").start() as server:
        os.environ[chord.URL] = server.url
        chord.app.conf.update(broker_url=server.url, result_backend=server.url)
        argv = (sys.executable, "-P", "-m", "tests.bench.chord")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        log = folders.fresh_log(stage.folder / "chord.log")
        worker = Kept(Member("chord", argv, environment, log, stage.folder))
        worker.start()
        try:
            made = Chord(server, worker)
            for _ in range(3):
                made.batch(8)
            yield made
        finally:
            worker.stop(HASTILY)
