"""A source that says the condition is over ends what it has fired about, and nothing that came later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from byteport.model.signal import Mode, Signal
from byteport.records.incident import Phase
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


def test_a_plan_is_cancelled_after_one_more_look(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.engine().take(clearing(world))
    ended = world.run(incident)
    assert ended.ending == "recovered"
    assert world.ward.effects() == []
    assert any("one more look" in text for text in world.texts(incident, "look"))
    assert "still holds, and is left alone" in ended.reason


def test_a_source_that_thinks_better_of_it_during_that_look_is_heard(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.engine().take(clearing(world))
    world.engine().move(incident)
    assert world.now(incident).clear_since is not None
    world.engine().take(world.signal("ward_one"))
    assert world.run(incident).ending == "resolved"
    assert len(world.ward.effects()) == 1


def test_a_clearing_ends_the_wait_for_an_approval(world: World) -> None:
    incident = world.open("ward_one", mode=Mode.APPROVE)
    assert world.run(incident).awaits_approval
    world.engine().take(clearing(world))
    while (now := world.now(incident)).phase is Phase.PLAN:
        assert world.step(incident) is not None, now.word
    assert world.run(incident).ending == "recovered"
    assert world.ward.effects() == []


def test_an_approval_keeps_its_deadline_where_a_source_thinks_better_of_it(world: World) -> None:
    incident = world.open("ward_one", mode=Mode.APPROVE)
    asked = world.run(incident)
    world.engine().take(clearing(world))
    world.engine().take(world.signal("ward_one"))
    waits = world.run(incident)
    assert waits.awaits_approval
    assert waits.approve_by == asked.approve_by == waits.due_at


def test_after_the_first_write_a_clearing_is_shown_and_decides_nothing(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.VERIFY)
    world.engine().take(clearing(world))
    assert world.run(incident).ending == "resolved"
    assert any("at " in text and "cleared" in text for text in world.texts(incident, "cleared")[1:])


def test_a_target_is_clear_when_every_condition_has_ended(world: World) -> None:
    incident = world.open("ward_one", condition="cpu", summary="cpu is busy")
    world.engine().take(world.signal("ward_one", condition="disk", summary="disk is full"))
    world.engine().take(clearing(world, condition="cpu"))
    assert world.now(incident).clear_since is None
    assert "one condition has cleared; disk is full has not" in world.texts(incident, "cleared")
    world.engine().take(clearing(world, condition="disk"))
    assert world.now(incident).clear_since is not None


def test_a_condition_that_fires_again_after_its_end_has_not_ended(world: World) -> None:
    incident = world.open("ward_one", condition="cpu")
    world.engine().take(world.signal("ward_one", condition="disk"))
    world.engine().take(clearing(world, condition="cpu"))
    world.engine().take(world.signal("ward_one", condition="cpu"))
    world.engine().take(clearing(world, condition="disk"))
    assert world.now(incident).clear_since is None


def test_a_late_end_of_one_condition_is_not_mistaken_for_an_early_one_of_another(world: World) -> None:
    """The other began after this one ended; its beginning says nothing of this one."""
    incident = world.open("ward_one", condition="cpu")
    world.engine().take(world.signal("ward_one", condition="disk"))
    world.engine().take(clearing(world, condition="disk"))
    world.engine().take(clearing(world, condition="cpu", ago=timedelta(seconds=-1)))
    assert world.now(incident).clear_since is not None
