"""A person resets a budget: the next act passes, also where the budgets store was away; the twin stays refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from byteport.errors import Unavailable
from byteport.testing.time_travel import travel
from tests.ward.asking import refused_by
from tests.ward.breaking import Gone
from tests.ward.world import World

COUNTER = "turns:valve:v1"
ELEVEN_MINUTES = 660  # past the cooldown of the page


@pytest.fixture
def spent(world: World) -> World:
    """The one turn a day is spent, and the valve leaks again."""
    assert world.run(world.open("ward_limited")).ending == "resolved"
    travel(world.url, ELEVEN_MINUTES)
    world.ward.set("v1", "leaking", True)
    return world


@pytest.mark.parametrize("reset", [True, False])
def test_what_was_reset_may_be_spent_again(spent: World, reset: bool) -> None:
    if reset:
        assert spent.engine().reset_guard(COUNTER, "ada", "the valve was replaced") == 1
    incident = spent.run(spent.open("ward_limited"))
    assert len(spent.ward.effects()) == (2 if reset else 1)
    assert refused_by(spent, incident.id) == ([] if reset else ["turns_a_day"])


def test_a_budgets_store_that_was_away_learns_of_the_reset_when_it_is_back(spent: World) -> None:
    with pytest.raises(Unavailable, match="the reset is kept"):
        replace(spent.engine(), budgets=Gone()).reset_guard(COUNTER, "ada", "the valve was replaced")
    assert spent.run(spent.open("ward_limited")).ending == "resolved"
    assert len(spent.ward.effects()) == 2


def test_a_reset_gives_one_more_and_not_two(spent: World) -> None:
    spent.engine().reset_guard(COUNTER, "ada", "the valve was replaced")
    assert spent.run(spent.open("ward_limited")).ending == "resolved"
    spent.ward.set("v1", "leaking", True)
    travel(spent.url, ELEVEN_MINUTES)
    assert refused_by(spent, spent.run(spent.open("ward_limited")).id) == ["turns_a_day"]
    assert len(spent.ward.effects()) == 2
