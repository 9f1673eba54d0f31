"""Row 11: whether an incident costs the same with a long history, and with more worker processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tests.bench.history import filled
from tests.bench.row import Goal, Row, alternated, compared
from tests.bench.shapes import BytePort
from tests.bench.stage import Stage, stage, until

CALM = 0.1  # seconds of CPU in a second
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
        old.stop()
        for processes in (2, 4):
            yield more_processes(fleets[0], processes, rounds, count)


def more_processes(fleet: BytePort, processes: int, rounds: int, count: int) -> Row:
    """`processes` acting and probing workers in turn with one of each; all of them are started, some of them stand by."""
    extra = [f"{role}-{n}" for role in ("probe", "act") for n in range(2, processes + 1)]

    def crowd() -> float:
        fleet.stage.start(*extra)
        logs = [fleet.stage.folder / f"{name}.log" for name in extra]
        until(lambda: all(" ready." in log.read_text() for log in logs), 60, "all workers are ready", every=0.1)
        try:
            fleet.batch(8 * processes)
            until(lambda: _is_calm(fleet), 60, "what was started has started")
            return fleet.batch(count).cpu_each
        finally:
            fleet.stage.stop(*extra)

    pairs = alternated(rounds, crowd, lambda: fleet.batch(count).cpu_each)
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
