"""A person has a target looked at with which nothing is wrong: whether anybody else says that something is."""

from __future__ import annotations

import pytest

from byteport.model.signal import Mode
from byteport.records.incident import Phase
from tests.ward.world import World


def well(world: World) -> None:
    world.ward.prepare("v1")
    world.ward.set("v1", "leaking", False)


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.DRY_RUN])
def test_where_only_a_person_asked_there_is_nothing_to_do(world: World, mode: Mode) -> None:
    incident = world.open_by_hand("ward_one", mode=mode)
    well(world)
    assert world.run(incident).ending == "recovered"
    assert world.ward.effects() == []


def test_where_a_source_says_so_too_it_is_for_a_person(world: World) -> None:
    incident = world.open_by_hand("ward_one")
    world.engine().take(world.signal("ward_one"))
    well(world)
    assert world.run(incident).phase is Phase.ESCALATE


def test_what_takes_the_place_of_an_alert_that_still_fires_is_for_a_person(world: World) -> None:
    alerted = world.open("ward_one")
    well(world)
    assert world.run(alerted).phase is Phase.ESCALATE
    by_hand = world.open_by_hand("ward_one")
    well(world)
    assert by_hand != alerted
    assert world.run(by_hand).phase is Phase.ESCALATE
