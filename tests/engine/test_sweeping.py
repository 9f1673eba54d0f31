"""The sweep on a real ledger: it goes on while something is due, and waits for what falls due before the next tick."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from byteport.records.change import Change
from byteport.stores_abandoned import Due
from byteport.testing.time_travel import travel
from tests.ward.world import World
from workers.sweeping import LASTS, UNTAKEN, sweep


def swept(world: World, *, taken: bool = False) -> list[str]:
    """What one sweep rings for; `taken`: by somebody who claims it at once."""
    engine, rung = world.engine(), []

    def wake(found: Sequence[Due]) -> None:
        rung.extend(due.incident for due in found)
        for due in found:
            if taken:
                world.ledger.claim(due.incident, engine.pages.digests)

    sweep(engine, wake)
    return rung


def test_a_sweep_that_finds_nothing_ends_at_once(world: World) -> None:
    began = time.monotonic()
    assert swept(world) == []
    assert time.monotonic() - began < LASTS


def test_what_falls_due_before_the_next_tick_is_waited_for(world: World) -> None:
    incident = world.open("ward_one")
    claimed = world.ledger.claim(incident, world.engine().pages.digests)
    assert claimed is not None
    seen, lease = claimed
    world.ledger.save(Change(incident=seen.due_in(timedelta(seconds=1.3), lease.now)), lease)
    travel(world.url, 1)
    assert swept(world) == [incident]


def test_more_is_rung_for_as_soon_as_some_of_it_is_taken(world: World) -> None:
    opened = {world.open("ward_one", f"v{n}") for n in range(UNTAKEN + 10)}
    travel(world.url, 2)
    assert set(swept(world, taken=True)) == opened


def test_what_nobody_takes_is_not_piled_up(world: World) -> None:
    for n in range(UNTAKEN + 10):
        world.open("ward_one", f"v{n}")
    travel(world.url, 2)
    assert len(swept(world)) == UNTAKEN
