"""The sweeper's list: what is due is woken no faster than it is taken, and nothing that stays untaken is in the way."""

from __future__ import annotations

from datetime import timedelta

from byteport.records.change import Change
from byteport.records.incident import Phase
from tests.contracts.conftest import World


def woken(world: World, untaken: int | None = None) -> list[str]:
    return [due.incident for due in world.ledger.wake_due(untaken=untaken)]


def test_no_more_are_woken_than_may_be_untaken(world):
    opened = [world.open(f"db-{n}") for n in range(12)]
    world.travel(2)
    first = woken(world, untaken=5)
    assert first == opened[:5], "the oldest first"
    assert woken(world, untaken=5) == []
    for incident in first[:3]:
        world.claim(incident)
    assert woken(world, untaken=5) == opened[5:8]


def test_what_stays_untaken_keeps_back_nothing_that_comes_later(world):
    opened = [world.open(f"db-{n}") for n in range(9)]
    world.travel(2)
    assert woken(world, untaken=4) == opened[:4]
    world.travel(4)
    assert woken(world, untaken=4) == opened[4:8]
    world.travel(4)
    assert woken(world, untaken=4) == opened[8:]
    world.travel(4)
    assert woken(world, untaken=4) == opened[:4], "ten seconds after the first time"


def test_what_is_for_hands_is_woken_whatever_else_is_untaken(world):
    acting, wanting, looking = (world.open(f"db-{n}") for n in range(3))
    world.move(acting, phase=Phase.ACT)
    world.move(wanting, phase=Phase.ESCALATE, wants_hands=True)
    world.travel(2)
    assert sorted(woken(world, untaken=0)) == sorted([acting, wanting])
    assert woken(world, untaken=1) == [looking]


def test_what_is_looked_at_is_woken_where_a_group_is_to_be_sent_again(world):
    incident = world.looking(groups=("a", "b"))
    assert woken(world) == [incident]
    world.ledger.groups_to_send(incident)
    world.travel(11)
    assert woken(world) == [], "they were sent just now"
    world.travel(5)
    assert woken(world, untaken=1) == [incident]


def test_what_was_made_due_at_once_is_left_for_a_second_to_whoever_rings_for_it(world):
    opened, waited = world.open("db-1"), world.open("db-2")
    seen, lease = world.claim(waited)
    world.ledger.save(Change(incident=seen.due_in(timedelta(seconds=1.2), lease.now)), lease)
    assert woken(world, untaken=5) == []
    world.due_now(opened)
    world.travel(1.2)
    assert woken(world, untaken=5) == [opened, waited]
    assert woken(world, untaken=5) == []


def test_how_long_until_the_next_one_falls_due(world):
    soon = timedelta(seconds=1)
    for key, seconds in (("db-1", 0.6), ("db-2", 40)):
        seen, lease = world.claim(world.open(key))
        world.ledger.save(Change(incident=seen.due_in(timedelta(seconds=seconds), lease.now)), lease)
    assert timedelta(0) < world.ledger.next_due(soon) <= timedelta(seconds=0.6)
    world.travel(1)
    assert world.ledger.next_due(soon) is None
    assert world.ledger.next_due(timedelta(seconds=60)) > timedelta(seconds=30)


def test_what_the_columns_say_and_what_is_as_it_always_begins_is_not_kept_twice(world):
    incident = world.open()
    saved = world.move(incident, reason="because", asked=1)
    ((state,),) = ([row["state"]] for row in world.sql("select state from byteport.incidents"))
    assert state == {"asked": 1, "plan": None, "diagnosis": None}
    assert world.ledger.incident(incident) == saved
