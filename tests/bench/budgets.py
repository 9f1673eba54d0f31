"""Row 6: what a decision on budgets costs, beside a GET and beside its own script called by hand, on one connection.

Every decision is a reservation that is granted and noted, in windows that hold a few spends, as real ones do. The server
keeps an append-only file as it does in operation, which a GET does not pay for.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median

import redis

from byteport.adapters.budgets import RedisBudgets
from byteport.embedded import EmbeddedRedis
from byteport.grammar.verdict import Claim
from byteport.model.units import minutes
from tests.bench.meter import commands
from tests.bench.row import Goal, Row, alternated, compared

WIDTHS = (1, 8)
SPENDS = 4  # in a window, by the end of a turn
PLAIN = "bench:plain"
NOTHING = "return 1"


def rows(quick: bool, say: Callable[[str], None]) -> Iterator[Row]:
    say("row 6: budgets")
    rounds, each = (25, 80) if quick else (75, 120)
    with (
        tempfile.TemporaryDirectory(prefix="byteport-bench-") as folder,
        EmbeddedRedis(Path(folder)).start() as server,
        redis.Redis.from_url(server.url, max_connections=1, decode_responses=False) as client,
    ):
        client.set(PLAIN, "x" * 64)
        for width in WIDTHS:
            yield from _of_width(Decisions(client, width, each), rounds)


@dataclass
class Decisions:
    """Both speak on the one connection of this client. `width`: how many windows a decision is about."""

    client: redis.Redis
    width: int
    each: int
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.budgets = RedisBudgets(self.client)
        self.budgets.rebuild(1, [])

    def reserved(self) -> float:
        turns = self._turns()
        return _timed([lambda key=key, asked=asked: self.budgets.reserve(key, asked) for key, asked in turns])

    def peeked(self) -> float:
        return _timed([lambda asked=asked: self.budgets.peek(asked) for _key, asked in self._turns()])

    def got(self) -> float:
        return _timed([lambda: self.client.get(PLAIN)] * self.each)

    def bare(self) -> float:
        """The same script with keys and arguments of the same number and length, made beforehand; no answer is read."""
        digest, lines = self.budgets.digest, [self.budgets.asked("reserve", *turn) for turn in self._turns()]
        return _timed([lambda k=k, w=w: self.client.evalsha(digest, len(k), *k, *w) for k, w in lines])

    def nothing(self) -> float:
        """A script that does nothing, sent the same keys and arguments: the least that any decision could cost."""
        digest, lines = self.client.script_load(NOTHING), [self.budgets.asked("peek", *turn) for turn in self._turns()]
        return _timed([lambda k=k, w=w: self.client.evalsha(digest, len(k), *k, *w) for k, w in lines])

    def _turns(self) -> list[tuple[str, list[Claim]]]:
        """On windows of their own, so that nobody finds what another has spent."""
        turn = next(self.numbers)
        return [(f"bench-{turn}-{n:08}", self._claims(turn, n % (self.each // SPENDS))) for n in range(self.each)]

    def _claims(self, turn: int, subject: int) -> list[Claim]:
        return [
            Claim.window(f"bench_{n}:valve:{turn}-{subject}", limit=10, per=minutes(10), guard="bench")
            for n in range(self.width)
        ]


def _timed(calls: Sequence[Callable[[], object]]) -> float:
    """Microseconds that one takes, by the median."""
    took = []
    for call in calls:
        at = time.perf_counter()
        call()
        took.append(time.perf_counter() - at)
    return median(took) * 1e6


def _of_width(decisions: Decisions, rounds: int) -> Iterator[Row]:
    over = f"over {decisions.width} window{'s' * (decisions.width > 1)}"
    decisions.reserved()
    before = commands(decisions.client)["evalsha"]
    decisions.reserved()
    sent = (commands(decisions.client)["evalsha"] - before) / decisions.each
    yield Row(6, f"EVALSHA for a decision {over}", Goal("<=", 1, "calls"), sent, "calls")

    pairs = alternated(rounds, decisions.reserved, decisions.got)
    peek, nothing = (median(ask() for _ in range(9)) for ask in (decisions.peeked, decisions.nothing))
    yield compared(
        6, f"a decision {over}, p50", Goal("<=", 1.5), pairs, unit="us", against="GET", note=f"a peek {peek:.0f} us, an EVALSHA that does nothing {nothing:.0f} us",
    )  # fmt: skip
    pairs = alternated(rounds, decisions.reserved, decisions.bare)
    yield compared(
        6, f"decisions {over} a second", Goal(">=", 0.8), [(1e6 / ours, 1e6 / theirs) for ours, theirs in pairs],
        unit="/s", against="bare EVALSHA",
    )  # fmt: skip
