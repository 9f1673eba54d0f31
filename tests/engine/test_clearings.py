"""A source that says the condition is over ends what it has fired about, and nothing that came later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from byteport.model.signal import Signal
from tests.ward.breaking import sql
from tests.ward.world import World


def clearing(world: World, event_id: str = "", ago: timedelta = timedelta(0), **more: str) -> Signal:
    fired_at = datetime.now(UTC) - ago
    return world.signal("ward_one").with_(resolved=True, event_id=event_id, fired_at=fired_at, **more)


def kept(world: World, event_id: str) -> int:
    ((n,),) = sql(world, "select count(*) from byteport.signals where event_id = %s and resolved", event_id)
    return int(n)


def test_a_clearing_that_is_older_than_the_newest_firing_ends_nothing(world: World) -> None:
    incident = world.open("ward_one")
    world.engine().take(clearing(world, ago=timedelta(minutes=5)))
    assert world.now(incident).clear_since is None
    assert world.run(incident).ending == "resolved"
    assert len(world.ward.effects()) == 1


def test_a_clearing_of_the_newest_firing_ends_it(world: World) -> None:
    incident = world.open("ward_one")
    world.engine().take(clearing(world))
    assert world.run(incident).ending == "recovered"
    assert world.ward.effects() == []


def test_a_clearing_is_compared_with_what_its_own_source_has_fired(world: World) -> None:
    """Two sources' clocks say nothing of one another."""
    incident = world.open("ward_one")
    world.engine().take(clearing(world, ago=timedelta(minutes=5), source="another"))
    assert world.now(incident).clear_since is not None


def test_a_clearing_that_is_delivered_twice_ends_only_its_own(world: World) -> None:
    cleared = clearing(world, "clear-1", ago=timedelta(minutes=-5))
    first = world.open("ward_one", event_id="fire-1")
    world.engine().take(cleared)
    assert world.run(first).ending == "recovered"
    second = world.open("ward_one", event_id="fire-2")
    world.engine().take(cleared)
    assert world.run(second).ending == "resolved"
    assert kept(world, "clear-1") == 1


def test_an_alert_may_fire_and_clear_under_one_event_id(world: World) -> None:
    incident = world.open("ward_one", event_id="alert-1")
    world.engine().take(clearing(world, "alert-1"))
    assert world.run(incident).ending == "recovered"


def test_a_clearing_that_was_answered_with_success_is_in_the_ledger(world: World) -> None:
    world.open("ward_one")
    world.engine().take(clearing(world, "clear-1"))
    assert kept(world, "clear-1") == 1


def test_a_clearing_that_comes_before_its_firing_is_known_when_it_comes_again(world: World) -> None:
    cleared = clearing(world, "clear-1", ago=timedelta(minutes=-5))
    world.engine().take(cleared)
    incident = world.open("ward_one")
    world.engine().take(cleared)
    assert world.now(incident).clear_since is None
    assert kept(world, "clear-1") == 1


def test_secrets_of_a_clearing_are_not_stored(world: World) -> None:
    world.open("ward_one")
    world.engine().take(clearing(world, "clear-1", summary="password=hunter2"))
    assert sql(world, "select signal ->> 'summary' from byteport.signals where resolved") == [("password=[redacted]",)]
