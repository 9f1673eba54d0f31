"""Die before or after any call while a look is owed, taken and made: it is made once, and what was done stays done once."""

from __future__ import annotations

import pytest

from byteport.testing.time_travel import travel
from tests.engine.test_owed_looks import EASING, HOUR
from tests.ward import pages
from tests.ward.world import Cuts, PowerCut, World


@pytest.fixture
def world(world: World) -> World:
    world.pages = (*pages.ALL, EASING)
    return world


@pytest.mark.parametrize("after", [False, True])
def test_power_cut_anywhere_owes_one_look_and_takes_it_once(world: World, after: bool) -> None:
    """From the first claim to the last word; what was cut off is repeated, by the fleet and by the sweeper."""
    _lived(world, "warm")
    world.cuts = Cuts()
    _lived(world, "measured")
    calls, reached = world.cuts.seen, 0
    for n in range(1, calls + 1):
        valve = f"cut{n}"
        world.ward.prepare(valve)
        world.cuts = Cuts(at=n, after=after)
        try:
            _lived(world, valve)
        except PowerCut:
            reached += 1
            world.cuts = Cuts()
            travel(world.url, 61)
            _lived(world, valve)
        world.cuts = Cuts()
        found = [line for line in world.ledger.listing(limit=500) if line.target == f"service:{valve}"]
        if [line.reason for line in found] == ["pulse failed: begun, effect never seen"]:
            continue  # cut off before the effect, and never sent again: a person has it
        assert sorted(line.word for line in found) == ["escalated", "partially_resolved"], (n, found)
        assert len(world.ward.effects(valve)) == 1
    assert reached == calls
    assert world.ward.doubled() == []


def _lived(world: World, valve: str) -> None:
    """Both incidents, from wherever they are to their rest."""
    mine = [line.id for line in world.ledger.listing(limit=500) if line.target == f"service:{valve}"]
    for incident in mine or [world.open("ward_easing", valve)]:
        world.run(incident)
    travel(world.url, HOUR)
    world.engine().tend()
    for line in world.ledger.listing(limit=500):
        if line.target == f"service:{valve}" and line.closed_at is None:
            world.run(line.id)
