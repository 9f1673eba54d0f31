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
from tests.bench.row import Goal, Row, compared

WIDTHS = (1, 8)
SPENDS = 4  # in a window, by the end of a turn
PLAIN = "bench:plain"
NOTHING = "return 1"
Calls = Sequence[Callable[[], object]]


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

    def reserved(self) -> Calls:
        return [lambda key=key, asked=asked: self.budgets.reserve(key, asked) for key, asked in self._turns()]

    def peeked(self) -> Calls:
        return [lambda asked=asked: self.budgets.peek(asked) for _key, asked in self._turns()]

    def got(self) -> Calls:
        return [lambda: self.client.get(PLAIN)] * self.each

    def bare(self) -> Calls:
        """The same script with keys and arguments of the same number and length, made beforehand; no answer is read."""
        return self._sent(self.budgets.digest, "reserve")

    def nothing(self) -> Calls:
        """A script that does nothing, sent the same keys and arguments: the least that any decision could cost."""
        return self._sent(self.client.script_load(NOTHING), "peek")

    def _sent(self, digest: str, word: str) -> Calls:
        lines = [self.budgets.asked(word, *turn) for turn in self._turns()]
        return [lambda k=k, w=w: self.client.evalsha(digest, len(k), *k, *w) for k, w in lines]

    def _turns(self) -> list[tuple[str, list[Claim]]]:
        """On windows of their own, so that nobody finds what another has spent."""
        turn = next(self.numbers)
        return [(f"bench-{turn}-{n:08}", self._claims(turn, n % (self.each // SPENDS))) for n in range(self.each)]

    def _claims(self, turn: int, subject: int) -> list[Claim]:
        return [
            Claim.window(f"bench_{n}:valve:{turn}-{subject}", limit=10, per=minutes(10), guard="bench")
            for n in range(self.width)
        ]


def _in_turn(*sides: Calls) -> tuple[float, ...]:
    """Microseconds that one takes on each side, by the median; call by call, so that a slow spell of the machine hits
    all alike."""
    took: list[list[float]] = [[] for _ in sides]
    for calls in zip(*sides, strict=True):
        for side, call in enumerate(calls):
            at = time.perf_counter()
            call()
            took[side].append(time.perf_counter() - at)
    return tuple(median(one) * 1e6 for one in took)


def _of_width(decisions: Decisions, rounds: int) -> Iterator[Row]:
    over = f"over {decisions.width} window{'s' * (decisions.width > 1)}"
    before = commands(decisions.client)["evalsha"]
    _in_turn(decisions.reserved())
    sent = (commands(decisions.client)["evalsha"] - before) / decisions.each
    yield Row(6, f"EVALSHA for a decision {over}", Goal("<=", 1, "calls"), sent, "calls")

    ours, gets, bare, peeks, nothing = zip(*(_round(decisions) for _ in range(rounds)), strict=True)
    floor = f"a peek {median(peeks):.0f} us, an EVALSHA that does nothing {median(nothing):.0f} us"
    yield compared(
        6, f"a decision {over}, p50", Goal("<=", 1.5), list(zip(ours, gets, strict=True)), unit="us", against="GET",
        note=floor,
    )  # fmt: skip
    rates = [(1e6 / one, 1e6 / other) for one, other in zip(ours, bare, strict=True)]
    yield compared(
        6, f"decisions {over} a second", Goal(">=", 0.8), rates, unit="/s", against="bare EVALSHA", note="by the median"
    )


def _round(decisions: Decisions) -> tuple[float, ...]:
    return _in_turn(
        decisions.reserved(), decisions.got(), decisions.bare(), decisions.peeked(), decisions.nothing()
    )  # fmt: skip
