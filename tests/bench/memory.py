"""Row 8: memory and imports.

The growth is measured over BENCH_GROWTH=FIRST:THEN incidents (500:9500; in the short form 60:120): the goal of 5 % is for
the whole of it, and the short form scales what it saw to as many incidents only in its note.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from tests.bench import fleet_memory, imports
from tests.bench.meter import memory_of
from tests.bench.row import Goal, Row, alternated, compared
from tests.bench.stage import stage

CHILDREN = 8
ROUNDS = 5


def rows(quick: bool, say: Callable[[str], None]) -> Iterable[Row]:
    yield from importing(3 if quick else 9)
    yield idle()
    yield from children(CHILDREN * (1 if quick else 40), say)
    yield growth(quick, say)


def importing(rounds: int) -> Iterable[Row]:
    """Beside a bare Celery beat with a Redis broker; and that nothing heavy comes along."""
    for member, program in imports.MEMBERS.items():
        found: set[str] = set()

        def ours(program: str = program, found: set[str] = found) -> float:
            seconds, heavy = imports.cost(program)
            found.update(heavy)
            return seconds

        pairs = alternated(rounds, ours, lambda: imports.cost(imports.CELERY_AND_REDIS)[0])
        too_many = imports.unneeded(member, sorted(found))
        note = f"loads {', '.join(too_many)}" if too_many else ""
        yield compared(
            8,
            f"CPU of the imports of {member}",
            Goal("<=", 1.3),
            pairs,
            unit="s",
            against="celery and redis",
            note=note,
        )
        yield Row(8, f"heavy libraries that {member} loads", Goal("<=", 0, ""), len(too_many), note=note)


def idle() -> Row:
    """Parents, children, both servers, Flower: everything that `byteport up` starts."""
    with fleet_memory.up() as pid:
        weight = memory_of([pid])
    return Row(8, "the whole idle fleet of byteport up", Goal("<", 850, "MB"), weight, "MB")


def children(incidents: int, say: Callable[[str], None]) -> Iterable[Row]:
    """Children that share what was loaded before the fork, beside children that load for themselves."""
    with stage(page=fleet_memory.PAGE, config={"hosts": fleet_memory.HOSTS}) as fleet:
        fleet.start("probe", "decide", "beat")
        ours, whole = fleet_memory.children_of(fleet, CHILDREN, incidents)
        say(f"{CHILDREN} children: {ours:.1f} MB each, {whole:.0f} MB in all")
        theirs, unfrozen = fleet_memory.children_of(fleet, CHILDREN, incidents, fleet_memory.REFERENCE)
        say(f"{CHILDREN} unfrozen: {theirs:.1f} MB each, {unfrozen:.0f} MB in all")
    after = f"after {incidents // CHILDREN} incidents each; unfrozen {theirs:.1f} MB"
    yield Row(8, "what a child keeps for itself (Private_Dirty)", Goal("<=", 16, "MB"), ours, "MB", note=after)
    yield compared(
        8, f"parent and {CHILDREN} children", Goal("<=", 0.45), [(whole, unfrozen)], unit="MB", against="unfrozen"
    )


def growth(quick: bool, say: Callable[[str], None]) -> Row:
    """Of the three workers together, from when they are warm."""
    first, then = map(int, os.environ.get("BENCH_GROWTH", "60:120" if quick else "500:9500").split(":"))
    with stage() as fleet:
        before, after = fleet_memory.grown(fleet, first, then)
    share = 100 * (after / before - 1)
    say(f"{before:.1f} MB after {first} incidents, {after:.1f} MB after {first + then}")
    note = f"from {first} to {first + then} incidents; {share * 1000 / then:.2f} % for 1,000"
    return Row(8, "growth of the workers", Goal("<", 5, "%"), share, "%", note=note)
