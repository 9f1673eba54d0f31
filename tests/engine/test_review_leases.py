"""A holder that was frozen, a lease that runs out, a ledger that goes away: nothing is done twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import Unavailable
from byteport.records.incident import Phase
from byteport.records.intent import Intent
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.breaking import (
    BACK,
    DENIED,
    OWING,
    SIGHTLESS,
    TWICE,
    Between,
    steps,
)
from tests.ward.world import World


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, SIGHTLESS, OWING, BACK, DENIED, TWICE)


def test_a_holder_that_was_frozen_beyond_its_lease_begins_nothing_when_it_wakes(world: World) -> None:
    ledger = world.ledger
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)

    def frozen() -> None:
        travel(world.url, 41)
        world.ledger = ledger
        world.run(incident)  # another worker carries it through
        assert len(world.ward.effects()) == 1

    world.ledger = Between(ledger, "open_and_begin", frozen)
    frozen_engine = world.engine()
    while world.now(incident).phase is Phase.ACT:
        frozen_engine.move(incident)
    assert len(world.ward.effects()) == 1
    assert world.now(incident).ending == "resolved"


def test_a_holder_that_was_frozen_after_the_effect_changes_nothing_when_it_wakes(world: World) -> None:
    ledger = world.ledger
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)

    def frozen() -> None:
        travel(world.url, 41)
        world.ledger = ledger
        world.run(incident)

    world.ledger = Between(ledger, "mark_answered", frozen)
    frozen_engine = world.engine()
    while world.now(incident).phase is Phase.ACT:
        frozen_engine.move(incident)
    assert len(world.ward.effects()) == 1
    assert world.now(incident).ending == "resolved"


def test_nothing_begins_when_too_little_of_the_lease_is_left(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.ledger = Between(world.ledger, "open_and_begin", lambda: travel(world.url, 34))  # 6 s left, 5 + 2 wanted
    steps(world, incident, 4)
    assert world.ward.effects() == []
    assert world.run(incident).ending == "resolved"
    assert len(world.ward.effects()) == 1


def attempts(intents: list[Intent]) -> list[int]:
    return [intent.attempts for intent in intents]


@pytest.mark.parametrize("call", ["open_and_begin", "mark_answered", "settle", "intents_of", "claim", "standing"])
def test_a_ledger_that_goes_away_at_any_call_is_waited_for_and_nothing_is_done_twice(world: World, call: str) -> None:
    def away() -> None:
        raise Unavailable("the ledger went away")

    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    ledger, world.ledger = world.ledger, Between(world.ledger, call, away)
    with pytest.raises(Unavailable):
        steps(world, incident, 6)
    world.ledger = ledger
    travel(world.url, timedelta(seconds=41).total_seconds())
    assert world.run(incident).ending == ("resolved")
    assert len(world.ward.effects()) == 1
    assert attempts(ledger.intents_of(incident)) == [1]
