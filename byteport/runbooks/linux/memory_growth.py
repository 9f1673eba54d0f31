"""Who has grown: by what was seen an hour ago and what is seen now. Pure.

Grown is not the same as large: the largest process of a database's host is the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from byteport.model.facts.memory import MIB, Consumer, History, in_words
from byteport.model.units import minutes

LEAST_SHARE, LEAST_BYTES = 0.20, 200 * MIB
HOUR, EARLIEST, LATEST = minutes(60), minutes(70), minutes(50)


@dataclass(frozen=True)
class Growth:
    """A consumer, and what it held about an hour ago."""

    consumer: Consumer
    before: int
    minutes: float

    @property
    def grown(self) -> int:
        return self.consumer.rss - self.before

    @property
    def leaks(self) -> bool:
        """By at least 20 % and 200 MiB."""
        return self.grown >= LEAST_BYTES and self.grown >= LEAST_SHARE * self.before

    def __str__(self) -> str:
        share = f" ({self.grown / self.before:+.0%})" if self.before else ""
        name = self.consumer.unit or f"{self.consumer.name} (pid {self.consumer.pid})"
        sizes = f"{in_words(self.before)} to {in_words(self.consumer.rss)}"
        return f"{name} went from {sizes}{share} in {self.minutes:.0f} min"


@dataclass(frozen=True)
class Growths:
    """`known`: the largest grower first. `untold` may have grown by all that they hold, for nobody knows what they held
    an hour ago: they were not there yet, or nobody looked."""

    known: tuple[Growth, ...]
    untold: tuple[Consumer, ...]

    @property
    def largest(self) -> Growth | None:
        return self.known[0] if self.known else None

    @property
    def doubt(self) -> str:
        """Why it cannot be told who has grown most; empty where it can."""
        most = max(LEAST_BYTES, self.known[0].grown if self.known else 0)
        hiding = [str(one) for one in self.untold if one.rss >= most]
        return f"nobody knows what they held an hour ago: {'; '.join(hiding[:5])}" if hiding else ""


def growths(consumers: Sequence[Consumer], history: History, now: datetime) -> Growths:
    known = {one.key: growth for one in consumers if (growth := _growth(one, history, now)) is not None}
    return Growths(
        tuple(sorted(known.values(), key=lambda one: one.grown, reverse=True)),
        tuple(one for one in consumers if one.key not in known),
    )


def _growth(one: Consumer, history: History, now: datetime) -> Growth | None:
    told = list(_of_this_life(one, history, now))
    if not told:
        return None
    at, before = min(told, key=lambda point: abs((now - HOUR - point[0]).total_seconds()))
    return Growth(one, before, (now - at).total_seconds() / 60)


def _of_this_life(one: Consumer, history: History, now: datetime) -> Iterator[tuple[datetime, int]]:
    """Samples of about an hour ago; one from before it was started tells nothing of it."""
    for at, held in history.of(one.key):
        if LATEST <= now - at <= EARLIEST and (now - at).total_seconds() <= one.age:
            yield at, held
