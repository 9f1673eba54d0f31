"""Row 7: a hundred thousand incidents that wait: what they take in workers and in the ledger, what a sweep costs while
nothing is due, how late one is that falls due, and whether a thousand at once keep a new signal waiting.

Each waits for a person's word on its plan, as the engine left it; when that time is over it is told to people.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target, TargetKind
from tests.bench.filling import fill, sizes
from tests.bench.meter import memory_of
from tests.bench.row import Goal, Row, compared
from tests.bench.stage import WORKERS, Stage, stage, until

MODELS = 20
PATIENCE = 120.0
SWEEPS = 100
KNOWN = 20_000  # targets of the inventory, of which a tenth may be under remediation at once
WAITING = "select count(*) from byteport.incidents where phase = 'plan' and mode = 'approve'"
WAIT_AND_TOLD = """
select id from byteport.incidents i where phase = 'plan' and mode = 'approve'
  and exists (select from byteport.deliveries d where d.incident = i.id and d.state = 'sent')
"""
ACTED = """
select extract(epoch from i.answered_at - s.received_at)::float8 from byteport.intents i
join byteport.signals s on s.incident = i.incident where i.incident = %s and i.answered_at is not null
"""
BROKEN = """
select count(*) from (select id from byteport.incidents order by md5(id) limit 200) i where byteport.first_broken(id) is not null
"""
# The time for a person's word is over `after` seconds from now, a little later for each.
FALL_DUE = """
update byteport.incidents i set due_at = t.at, state = jsonb_set(state, '{approve_by}', to_jsonb(t.at))
from (select id, clock_timestamp() + make_interval(secs => %(after)s + %(apart)s * row_number() over ()) as at
      from (select id from byteport.incidents where phase = 'plan' and mode = 'approve' limit %(most)s) w) t
where i.id = t.id returning i.id, extract(epoch from t.at)::float8
"""
FIRST_AFTER = """
select extract(epoch from min(at))::float8 from byteport.events where incident = %s and extract(epoch from at) > %s
"""


def rows(quick: bool, say: Callable[[str], None]) -> Iterator[Row]:
    count = 10_000 if quick else 100_000
    say(f"row 7: {count} waits")
    with stage() as on:
        waits = Waits(on, count, due_at_once=500 if quick else 1000)
        waits.begin()
        yield from waits.filled(say)
        yield waits.sweep()
        yield waits.lateness()
        yield waits.drain(12 if quick else 30, say)


@dataclass
class Waits:
    stage: Stage
    count: int
    due_at_once: int = 1000
    sent: int = 0

    def begin(self) -> None:
        """The inventory, the fleet with its clock, and a few incidents of either kind until everybody is warm."""
        self.stage.know(KNOWN)
        self.stage.start(*WORKERS, "beat")
        self.latencies(20)
        self.stage.world.ledger.promote("bench", Mode.APPROVE, "benchmark", "people are asked")
        for n in range(MODELS):
            self.signal(f"valve-t{n:07}")
        until(lambda: len(self.models()) == MODELS, PATIENCE, "people were asked")
        self.stage.world.ledger.promote("bench", Mode.LIVE, "benchmark", "the benchmark acts")

    def models(self) -> list[str]:
        return [row[0] for row in self.stage.database.execute(WAIT_AND_TOLD)]

    def signal(self, key: str) -> str:
        """Taken in; the incident."""
        target, now = Target(kind=TargetKind.SERVICE, key=key), datetime.now(UTC)
        signal = Signal(
            name="bench", source="bench", fired_at=now, severity=Severity.WARNING, target=target, event_id=f"{key}/1"
        )
        admission = self.stage.world.engine.take(signal)
        assert admission is not None
        return admission.incident

    def filled(self, say: Callable[[str], None]) -> Iterator[Row]:
        """What so many cost, in the workers and in the ledger."""
        held, before, began = self._memory(), sizes(self.stage.database), time.monotonic()
        fill(self.stage.database, self.models(), self.count)
        say(f"filled in {time.monotonic() - began:.0f} s")
        assert self.stage.database.execute(BROKEN).fetchone() == (0,), "every journal is whole"
        self._swept(20)
        after, grown = sizes(self.stage.database), self._memory()
        each = {name: (after[name] - before[name]) / self.count for name in after}
        worst = max(grown, key=lambda name: grown[name] - held[name])
        yield Row(
            7, f"memory of a worker for {self.count:,} waits", Goal("<=", 3, "MB"), grown[worst] - held[worst], "MB",
            note=f"{worst}; " + ", ".join(f"{name} {grown[name]:.0f}" for name in grown),
        )  # fmt: skip
        yield Row(7, "a wait in the ledger: its row and indexes", Goal("<=", 2, "kB"), each["incidents"] / 1024, "kB")
        told = ", ".join(f"{name} {size:.0f}" for name, size in sorted(each.items()) if round(size))
        what = "a wait in the ledger: all that is known of it"
        yield Row(7, what, Goal("<=", 2, "kB"), sum(each.values()) / 1024, "kB", note=told)

    def sweep(self) -> Row:
        """While nothing is due."""
        found, took = self._swept(SWEEPS)
        assert not found, found
        return Row(7, f"a sweep over {self.count:,} waits", Goal("<=", 10, "ms"), median(took) * 1e3, "ms")

    def _swept(self, times: int) -> tuple[list[object], list[float]]:
        found: list[object] = []
        took = []
        for _ in range(times):
            began = time.perf_counter()
            found += self.stage.world.engine.wake_due()
            took.append(time.perf_counter() - began)
        return found, took

    def _memory(self) -> dict[str, float]:
        return {name: memory_of([kept.pid]) for name, kept in self.stage.members.items() if kept.pid}

    def lateness(self) -> Row:
        """From the date to the first line that the journal has after it; the move itself is in it."""
        due = dict(self.stage.database.execute(FALL_DUE, {"after": 1, "apart": 0.37, "most": 20}).fetchall())
        last = max(due.values())
        until(lambda: time.time() > last and None not in self._moved(due), 30, "what is due is moved")
        late = sorted(moved - at for at, moved in zip(due.values(), self._moved(due), strict=True) if moved)
        return Row(
            7, "how late a wait ends, at most", Goal("<=", 1, "s"), late[-1], "s", note=f"median {median(late):.2f}"
        )

    def _moved(self, due: dict[str, float]) -> list[float | None]:
        return [
            (self.stage.database.execute(FIRST_AFTER, [name, at]).fetchone() or (None,))[0] for name, at in due.items()
        ]

    def drain(self, most: int, say: Callable[[str], None]) -> Row:
        """A new signal's way to its first change while many are due at once. One that had to wait for all of them would
        take as long as the drain does."""
        idle = self.latencies(9)
        (before,) = self.stage.database.execute(WAITING).fetchone() or (0,)
        began = time.monotonic()
        self.stage.database.execute(FALL_DUE, {"after": 0, "apart": 0, "most": self.due_at_once})
        busy = []
        while self.left(before) and len(busy) < most:
            busy += self.latencies(1)
        until(lambda: not self.left(before), PATIENCE, "all that was due is moved")
        took = time.monotonic() - began
        say(f"{self.due_at_once} due drained in {took:.1f} s; new signals meanwhile: {[round(one, 2) for one in busy]}")
        return compared(
            7, f"a new signal's first change while {self.due_at_once} drain", Goal("<=", 0.2), [(one, took) for one in busy],
            unit="s", against="the drain", note=f"idle {median(idle):.2f} s, worst {max(busy):.2f} s",
        )  # fmt: skip

    def left(self, before: int) -> bool:
        (now,) = self.stage.database.execute(WAITING).fetchone() or (0,)
        return bool(before - now < self.due_at_once)

    def latencies(self, times: int) -> list[float]:
        """Seconds from the stored signal to the first change, one after the other."""
        took = []
        for _ in range(times):
            self.sent += 1
            incident = self.signal(f"valve-new-{self.sent}")
            until(lambda one=incident: bool(self._acted(one)), PATIENCE, "the incident is acted on")  # type: ignore[misc]
            took += self._acted(incident)
        return took

    def _acted(self, incident: str) -> list[float]:
        return [row[0] for row in self.stage.database.execute(ACTED, [incident])]
