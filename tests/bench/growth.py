"""Row 11: whether an incident costs the same with a long history, and with more worker processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tests.bench.history import filled
from tests.bench.row import Goal, Row, alternated, compared
from tests.bench.shapes import BytePort
from tests.bench.stage import Stage, stage, until

CALM = 0.1  # seconds of CPU in a second
WARM = 60  # incidents for each worker
FEW, MANY, MANY_QUICKLY = 1_000, 1_000_000, 50_000


def rows(quick: bool, say: Callable[[str], None]) -> Iterator[Row]:
    many = MANY_QUICKLY if quick else MANY
    rounds, count = (3, 20) if quick else (7, 40)
    with stage() as young, stage() as old:
        fleets = [_fleet(place) for place in (young, old)]
        for fleet, stored in zip(fleets, (FEW, many), strict=True):
            say(f"storing {stored:,} incidents")
            filled(fleet.stage, fleet.send_and_wait(), 1, stored)
        pairs = alternated(rounds, lambda: fleets[1].batch(count).cpu_each, lambda: fleets[0].batch(count).cpu_each)
        what = f"CPU of an incident with {many:,} stored"
        yield compared(11, what, Goal("<=", 1.1), pairs, unit="s", against=f"with {FEW:,} stored")
    for processes in (2, 4):
        yield more_processes(processes, rounds, 2 * count)


def more_processes(processes: int, rounds: int, count: int) -> Row:
    """A fleet with so many acting and probing workers, and in turn with it one with one of each."""
    with stage() as few, stage() as many:
        alone, crowd = _fleet(few), _fleet(many)
        many.start(*(f"{role}-{n}" for role in ("probe", "act") for n in range(2, processes + 1)))
        for fleet, warm in ((alone, 1), (crowd, processes)):  # every connection has met every statement
            fleet.batch(WARM * warm)
        until(lambda: _is_calm(crowd), 60, "what was started has started")
        pairs = alternated(rounds, lambda: crowd.batch(count).cpu_each, lambda: alone.batch(count).cpu_each)
    what = f"CPU of an incident with {processes} workers of each kind"
    return compared(11, what, Goal("<=", 1.1), pairs, unit="s", against="with one of each")


def _is_calm(fleet: BytePort) -> bool:
    """Nobody computes any more: children that were forked last load what they need after their parent is ready."""
    before = fleet.stage.cpu()
    time.sleep(1.0)
    return fleet.stage.cpu() - before < CALM


def _fleet(place: Stage) -> BytePort:
    made = BytePort(place)
    made.begin()
    return made
