"""The database poller: how much of each configured database's connections is used, and for how long.

What it remembers (since when a database is over, and that this was told) lives in the process that polls, so after a
restart a full database is told of when it has been seen full for the whole time again; one that clears in just that
time is not told of as clear, and an incident that rests with people waits for them. A gap in the looking starts the
time anew: nobody can say what happened meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import structlog

from byteport.errors import BytePortError, Transient
from byteport.model.facts.database import Utilization
from byteport.model.signal import Severity, Signal
from byteport.model.target import Target
from byteport.ports_database import Database
from byteport.redaction import redact_text
from byteport.stores import Ledger

log: Any = structlog.get_logger("byteport.sources.database")

SIGNAL = "db_pool_exhausted"
SOURCE = "database-poller"
FULL = "every slot is taken"  # how our adapter words a refusal for want of a slot
GAPS_TOLERATED = 2.5  # periods between two looks that still count as one row of them
SILENCE_PERIODS = 3  # without an answer for so many periods, people hear of it in the log
AGAIN_SECONDS = 60.0  # while it lasts, the signal is repeated so often at most


@dataclass(frozen=True)
class PollRules:
    """When a database is over, for how long before it is told of, and how often it is looked at (seconds)."""

    threshold: float = 0.90
    sustained: float = 60.0
    period: float = 10.0


@dataclass(frozen=True)
class Watched:
    """What is remembered of one database between two looks. Times are seconds of one process's monotonic clock."""

    looked_at: float | None = None
    over_since: float | None = None
    told_at: float | None = None

    def seen(self, at: float, fraction: float, rules: PollRules) -> tuple[Watched, bool, bool]:
        """After a look: what to remember, whether to signal, and whether it has just cleared. Pure.

        The signal is given once the database was over at every look of at least `sustained` seconds, and repeated
        while that lasts. Only what was told is taken back: what others told of this database is theirs to clear.
        """
        if fraction < rules.threshold:
            return Watched(looked_at=at), False, self.told_at is not None
        unbroken = self.looked_at is not None and at - self.looked_at <= GAPS_TOLERATED * rules.period
        since = self.over_since if self.over_since is not None and unbroken else at
        rested = self.told_at is None or at - self.told_at >= AGAIN_SECONDS
        due = at - since >= rules.sustained and rested
        return replace(self, looked_at=at, over_since=since, told_at=at if due else self.told_at), due, False


@dataclass(frozen=True)
class Look:
    """One answer: the share of the usable slots in use, and how to say it."""

    fraction: float
    words: str


@dataclass(frozen=True)
class DatabasePoller:
    """Looks at every configured database; two looks at once, or one too many, do no harm.

    `take` stores a signal (the engine's intake); `noted` is told of each look's error, empty for an answer. One for a
    process: it holds the memory.
    """

    database: Database
    ledger: Ledger
    take: Callable[[Signal], object]
    targets: Sequence[Target]
    rules: PollRules = PollRules()
    clock: Callable[[], float] = monotonic
    noted: Callable[[str, str], None] = lambda _database, _error: None
    memory: dict[str, Watched] = field(default_factory=dict)
    turns: dict[str, threading.Lock] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)

    def poll(self) -> None:
        """Every database at the same time, so that one that hangs keeps none of the others waiting."""
        if not self.targets:
            return
        with ThreadPoolExecutor(max_workers=min(32, len(self.targets)), thread_name_prefix="poll") as pool:
            list(pool.map(self.poll_one, self.targets))

    def poll_one(self, target: Target) -> None:
        """One look; never raises. Left out while the last look at the same database is still under way."""
        turn = self.turns.setdefault(target.key, threading.Lock())
        if not turn.acquire(blocking=False):
            return
        try:
            self._look_and_decide(target)
        except Exception as bug:  # a bug must not end the looking at this database, nor at the others
            log.exception("poll_failed", database=target.key, error=repr(bug))
        finally:
            turn.release()

    def _look_and_decide(self, target: Target) -> None:
        try:
            look = self._look(target)
        except BytePortError as problem:
            self._unanswered(target, problem)
            return
        self._note(target, "")
        try:
            self._decide(target, look)
        except BytePortError as problem:  # nothing was stored; the next look tries again
            log.warning("look_not_stored", database=target.key, error=str(problem))

    def _look(self, target: Target) -> Look:
        try:
            return told(self.database.utilization(target.key))
        except Transient as refusal:
            if FULL not in str(refusal):
                raise
            return Look(1.0, "no connection was to be had: every slot is taken")

    def _decide(self, target: Target, look: Look) -> None:
        now = self.clock()
        self.answered[target.key] = now
        before = self.memory.get(target.key, Watched())
        after, signal, cleared = before.seen(now, look.fraction, self.rules)
        self.ledger.see_target(target)
        if signal or cleared:
            self.take(self._signal(target, look, resolved=not signal))
        self.memory[target.key] = after  # only now: a signal that was not stored is given again at the next look

    def _signal(self, target: Target, look: Look, *, resolved: bool) -> Signal:
        return Signal(
            name=SIGNAL, source=SOURCE, target=target, fired_at=datetime.now(UTC), severity=Severity.CRITICAL,
            summary=look.words, value=round(look.fraction, 4), resolved=resolved,
        )  # fmt: skip

    def _unanswered(self, target: Target, problem: BytePortError) -> None:
        """Unknown is not healthy: it is told in the log with the time since the last answer, and clears nothing."""
        silent = self.clock() - self.answered.setdefault(target.key, self.clock())
        tell = log.error if silent >= SILENCE_PERIODS * self.rules.period else log.warning
        tell("database_not_answering", database=target.key, seconds=round(silent), error=str(problem))
        self._note(target, redact_text(str(problem)) or "no answer")

    def _note(self, target: Target, error: str) -> None:
        try:
            self.noted(target.key, error)
        except BytePortError as problem:  # the ledger is away: nothing is known of anybody then
            log.warning("look_not_noted", database=target.key, error=str(problem))


def told(use: Utilization) -> Look:
    """The answer in words: `95 % of the usable connections are in use (19 of 20)`."""
    return Look(
        use.fraction, f"{use.fraction:.0%} of the usable connections are in use ({use.clients} of {use.usable})"
    )
