"""Row 9: hosts. What their vitals cost one process, and for how many round trips a diagnosis waits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bench import distance, vitals
from tests.bench.row import Goal, Row
from tests.ssh_server import running

ALL = 200
DIAGNOSED = ("memory_pressure", "disk_pressure")


def rows(quick: bool, say: Callable[[str], None]) -> Iterable[Row]:
    yield watched(50 if quick else ALL, 3 if quick else 5)
    yield from diagnosed(2 if quick else 5, say)


def watched(count: int, rounds: int) -> Row:
    """The vitals poller's CPU; of fewer hosts it is scaled to 200."""
    found = vitals.measured(count, rounds)
    cores = float(str(found["cores"])) * ALL / count
    assert found["logins"] == count, "a host costs one connection"
    note = f"{count} hosts measured; a round took {found['took']} s, connecting to all of them {found['connecting']}"
    return Row(9, f"vitals of {ALL} hosts each 30 s", Goal("<", vitals.GOAL, "cores"), cores, "cores", note=note)


def diagnosed(rounds: int, say: Callable[[str], None]) -> Iterable[Row]:
    """Over a connection that stands, and what making one adds."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), bare=True) as server:
        for runbook in DIAGNOSED:
            found = distance.round_trips(server, runbook, rounds)
            say(f"{runbook}: {found}")
            note = f"the first one, with the login: {found.connecting:.1f}"
            what = f"round trips that a diagnosis of {runbook} waits for"
            yield Row(9, what, Goal("<=", 3, ""), round(found.standing, 1), note=note)
            yield Row(9, f"connections of a diagnosis of {runbook}", Goal("<=", 1, ""), found.logins)
