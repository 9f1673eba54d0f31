"""The database poller: how much of each configured database's connections is used, and for how long.

What it remembers (since when a database is over, and that this was told) stands in the ledger, in the row of the
database's own poller: each look may be another process's. A gap in the looking starts the time anew: nobody can say
what happened meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from pydantic import AwareDatetime

from byteport.errors import BytePortError, Transient
from byteport.model.base import Value
from byteport.model.facts.database import Utilization
from byteport.model.signal import Severity, Signal
from byteport.model.target import Target
from byteport.ports_database import Database
from byteport.records.figures import Turn
from byteport.redaction import redact_text
from byteport.sources.polling import recalled
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


class Watched(Value):
    """What is remembered of one database between two looks that were answered. Times are the ledger's."""

    looked_at: AwareDatetime | None = None
    over_since: AwareDatetime | None = None
    told_at: AwareDatetime | None = None

    def seen(self, at: datetime, fraction: float, rules: PollRules) -> tuple[Watched, bool, bool]:
        """After a look: what to remember, whether to signal, and whether it has just cleared. Pure.

        The signal is given once the database was over at every look of at least `sustained` seconds, and repeated
        while that lasts. Only what was told is taken back: what others told of this database is theirs to clear.
        """
        if fraction < rules.threshold:
            return Watched(looked_at=at), False, self.told_at is not None
        gap = timedelta(seconds=GAPS_TOLERATED * rules.period)
        unbroken = self.looked_at is not None and at - self.looked_at <= gap
        since = self.over_since if self.over_since is not None and unbroken else at
        rested = self.told_at is None or at - self.told_at >= timedelta(seconds=AGAIN_SECONDS)
        due = at - since >= timedelta(seconds=rules.sustained) and rested
        return Watched(looked_at=at, over_since=since, told_at=at if due else self.told_at), due, False


@dataclass(frozen=True)
class Look:
    """One answer: the share of the usable slots in use, and how to say it."""

    fraction: float
    words: str


@dataclass(frozen=True)
class DatabasePoller:
    """Looks at every configured database. Each is a source of its own in the ledger, which says whose turn it is and
    what was seen last: one that does not answer is told of like any other.

    `take` stores a signal (the engine's intake); `configuration` is the process's digest.
    """

    database: Database
    ledger: Ledger
    take: Callable[[Signal], object]
    targets: Sequence[Target]
    rules: PollRules = PollRules()
    configuration: str = ""

    def poll(self) -> None:
        """Every database at the same time, so that one that hangs keeps none of the others waiting."""
        if not self.targets:
            return
        with ThreadPoolExecutor(max_workers=min(32, len(self.targets)), thread_name_prefix="poll") as pool:
            list(pool.map(self.poll_one, self.targets))

    def poll_one(self, target: Target) -> None:
        """One look; never raises. Left out while somebody looks at the same database, or has within half a period."""
        try:
            period = timedelta(seconds=self.rules.period)
            turn = self.ledger.poll_begins(f"database {target.key}", period, self.configuration)
            if turn is not None:
                self._look_and_decide(target, turn)
        except BytePortError as problem:  # the ledger is away; the next look tries again
            log.warning("look_not_noted", database=target.key, error=str(problem))
        except Exception as bug:  # a bug must not end the looking at this database, nor at the others
            log.exception("poll_failed", database=target.key, error=repr(bug))

    def _look_and_decide(self, target: Target, turn: Turn) -> None:
        try:
            look = self._look(target)
        except BytePortError as problem:
            self._unanswered(target, turn, problem)
            return
        before = recalled(Watched, turn.memory)
        try:
            after = self._decide(target, turn, look, before)
        except BytePortError as problem:  # nothing was stored: what is remembered stays, and the next look tries again
            log.warning("look_not_stored", database=target.key, error=str(problem))
            after = before
        self.ledger.polled(turn, "", memory=after.model_dump(mode="json"))

    def _decide(self, target: Target, turn: Turn, look: Look, before: Watched) -> Watched:
        after, signal, cleared = before.seen(turn.at, look.fraction, self.rules)
        self.ledger.see_target(target)
        if signal or cleared:
            self.take(_signal(target, look, turn, resolved=not signal))
        return after

    def _look(self, target: Target) -> Look:
        try:
            return told(self.database.utilization(target.key))
        except Transient as refusal:
            if FULL not in str(refusal):
                raise
            return Look(1.0, "no connection was to be had: every slot is taken")

    def _unanswered(self, target: Target, turn: Turn, problem: BytePortError) -> None:
        """Unknown is not healthy: it is told in the log with the time since the last answer, and clears nothing."""
        silent = (turn.at - turn.since).total_seconds()
        tell = log.error if silent >= SILENCE_PERIODS * self.rules.period else log.warning
        tell("database_not_answering", database=target.key, seconds=round(silent), error=str(problem))
        self.ledger.polled(turn, redact_text(str(problem)) or "no answer")


def _signal(target: Target, look: Look, turn: Turn, *, resolved: bool) -> Signal:
    return Signal(
        name=SIGNAL, source=SOURCE, target=target, fired_at=turn.at.astimezone(UTC), severity=Severity.CRITICAL,
        summary=look.words, value=round(look.fraction, 4), resolved=resolved,
    )  # fmt: skip


def told(use: Utilization) -> Look:
    """The answer in words: `95 % of the usable connections are in use (19 of 20)`."""
    return Look(
        use.fraction, f"{use.fraction:.0%} of the usable connections are in use ({use.clients} of {use.usable})"
    )
