"""A round of looking: groups are sent until they are answered, at most three times, and the last answer counts once."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain

import pytest

from byteport.grammar.evidence import Failure
from byteport.records.change import Change
from byteport.records.evidence import Answer, Round
from byteport.records.incident import Phase
from tests.contracts.conftest import PAGE, race


def answer(field: str, fact: object = 1) -> Answer:
    return Answer(field=field, fact=fact, duration_ms=2.5)


def test_every_group_of_the_round_is_sent_once(world):
    incident = world.looking()
    assert world.ledger.groups_to_send(incident) == [(1, "a"), (1, "b")]
    assert world.ledger.groups_to_send(incident) == []


def test_groups_are_handed_to_one_of_many_senders(world):
    incident = world.looking()
    sent = race([lambda: world.ledger.groups_to_send(incident)] * 6)
    assert sorted(chain(*sent)) == [(1, "a"), (1, "b")]


def test_a_group_that_nobody_takes_is_sent_three_times_and_never_again(world):
    incident = world.looking(groups=["a"])
    sendings = []
    for _ in range(6):
        sendings.append(world.ledger.groups_to_send(incident))
        world.travel(16)
    assert sendings == [[(1, "a")]] * 3 + [[]] * 3


def test_a_group_whose_taker_died_is_sent_again_when_its_lease_has_lapsed(world):
    incident = world.looking(groups=["a"])
    world.ledger.groups_to_send(incident)
    assert world.ledger.take_group(incident, 1, "a") is not None
    world.travel(14)
    assert world.ledger.groups_to_send(incident) == []
    world.travel(2)
    assert world.ledger.groups_to_send(incident) == [(1, "a")]


def test_the_sweeper_wakes_an_incident_whose_group_is_to_be_sent_again(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    due = lease.now + timedelta(seconds=90)
    look = Round(groups={"a": ("a1",)}, purpose="diagnosis")
    world.ledger.save(Change(incident=seen.to(Phase.PROBE, due_at=due), look=look), lease)
    world.ledger.groups_to_send(incident)
    assert world.ledger.wake_due() == []
    world.travel(16)
    assert [(due.incident, due.phase) for due in world.ledger.wake_due()] == [(incident, Phase.PROBE)]
    assert world.ledger.claim(incident, [PAGE]) is None
    assert world.ledger.groups_to_send(incident) == [(1, "a")]


def test_of_many_takers_one_gets_the_group(world):
    incident = world.looking(groups=["a"])
    takers = race([lambda: world.ledger.take_group(incident, 1, "a")] * 8)
    assert [taken is not None for taken in takers].count(True) == 1


def test_a_group_says_what_it_asks_for(world):
    taken = world.ledger.take_group(world.looking(), 1, "b")
    assert (taken.fields, taken.round, taken.group) == (("b1",), 1, "b")


def test_the_last_answer_brings_the_round_home_and_makes_it_due(world):
    incident = world.looking()
    first, second = (world.ledger.take_group(incident, 1, group) for group in "ab")
    looked = world.ledger.store_answers(first, [answer("a1")])
    assert (looked.stored, looked.completes_the_round) == (True, False)
    looked = world.ledger.store_answers(second, [answer("b1")])
    assert (looked.completes_the_round, looked.phase) == (True, "probe")
    assert world.ledger.claim(incident, [PAGE]) is not None


def test_many_answers_at_once_bring_the_counter_to_zero_once(world):
    groups = [f"g{n}" for n in range(8)]
    incident = world.looking(groups=groups)
    taken = [world.ledger.take_group(incident, 1, group) for group in groups]
    looked = race([lambda lease=lease: world.ledger.store_answers(lease, [answer(lease.fields[0])]) for lease in taken])
    assert [look.completes_the_round for look in looked].count(True) == 1
    assert world.ledger.incident(incident).pending == 0
    assert len(world.ledger.answers(incident)) == 8
    assert world.ledger.verify_chain(incident) is None


def test_the_same_answers_twice_count_once(world):
    incident = world.looking()
    taken = world.ledger.take_group(incident, 1, "a")
    looked = race([lambda: world.ledger.store_answers(taken, [answer("a1")])] * 5)
    assert [look.stored for look in looked].count(True) == 1
    assert not any(look.completes_the_round for look in looked)
    assert world.ledger.incident(incident).pending == 1


def test_an_answered_group_is_neither_taken_nor_sent_again(world):
    incident = world.looking()
    world.ledger.groups_to_send(incident)
    world.ledger.store_answers(world.ledger.take_group(incident, 1, "a"), [answer("a1")])
    world.travel(60)
    assert world.ledger.take_group(incident, 1, "a") is None
    assert world.ledger.groups_to_send(incident) == [(1, "b")]


def test_a_stale_taker_is_kept_and_moves_nothing(world):
    incident = world.looking(groups=["a"])
    stale = world.ledger.take_group(incident, 1, "a")
    world.travel(16)
    fresh = world.ledger.take_group(incident, 1, "a")
    late = world.ledger.store_answers(stale, [answer("a1", "late")])
    assert (late.stored, late.completes_the_round) == (True, False)
    assert world.ledger.incident(incident).pending == 1
    looked = world.ledger.store_answers(fresh, [answer("a1", "fresh")])
    assert looked.completes_the_round
    assert [stored.fact for stored in world.ledger.answers(incident)] == ["late"]


def test_late_answers_of_an_older_round_move_nothing(world):
    incident = world.looking(groups=["a"])
    old = world.ledger.take_group(incident, 1, "a")
    world.due_now(incident)
    world.move(incident, look=Round(groups={"a": ("a1",)}, purpose="again"))
    looked = world.ledger.store_answers(old, [answer("a1", "old")])
    assert (looked.stored, looked.completes_the_round) == (True, False)
    seen = world.ledger.incident(incident)
    assert (seen.round, seen.pending) == (2, 1)
    assert [stored.round for stored in world.ledger.answers(incident)] == [1]


def test_when_the_phase_has_left_the_round_nothing_is_sent_or_taken(world):
    incident = world.looking()
    world.ledger.groups_to_send(incident)
    taken = world.ledger.take_group(incident, 1, "a")
    world.due_now(incident)
    world.move(incident, phase=Phase.CLASSIFY)
    world.travel(60)
    assert world.ledger.groups_to_send(incident) == []
    assert world.ledger.take_group(incident, 1, "b") is None
    assert not world.ledger.store_answers(taken, [answer("a1")]).completes_the_round
    assert world.ledger.incident(incident).pending == 0


def test_answers_that_come_during_a_move_are_not_counted_back(world):
    incident = world.looking()
    taken = world.ledger.take_group(incident, 1, "a")
    world.due_now(incident)
    seen, lease = world.claim(incident)
    world.ledger.store_answers(taken, [answer("a1")])
    assert world.ledger.save(Change(incident=seen), lease).pending == 1


def test_the_last_answer_during_a_move_leaves_the_incident_due(world):
    incident = world.looking(groups=["a"])
    taken = world.ledger.take_group(incident, 1, "a")
    world.due_now(incident)
    seen, lease = world.claim(incident)
    assert world.ledger.store_answers(taken, [answer("a1")]).completes_the_round
    world.ledger.save(Change(incident=seen.due_in(timedelta(seconds=80), lease.now)), lease)
    assert world.ledger.claim(incident, [PAGE]) is not None


@pytest.mark.parametrize("fact", [None, 0, "", [], {"a": [1, 2.5, None]}, float("nan"), "x\x00y"])
def test_a_fact_is_kept_whatever_it_is(world, fact):
    incident = world.looking(groups=["a"])
    world.ledger.store_answers(world.ledger.take_group(incident, 1, "a"), [answer("a1", fact)])
    (stored,) = world.ledger.answers(incident)
    assert stored.fact == {repr(float("nan")): "NaN", repr("x\x00y"): "x\ufffdy"}.get(repr(fact), fact)
    assert stored.failure is None


def test_a_failure_is_kept_beside_what_was_answered(world):
    incident = world.looking(groups=["a"])
    failure = Failure(kind="timeout", text="10 s")
    answers = [answer("a1"), Answer(field="a2", failure=failure)]
    world.ledger.store_answers(world.ledger.take_group(incident, 1, "a"), answers)
    assert {stored.field: stored.failure for stored in world.ledger.answers(incident)} == {"a1": None, "a2": failure}
    (told,) = [event for event in world.ledger.events(incident) if event.kind == "answers"]
    assert told.data["failed"] == {"a2": "timeout: 10 s"}


def test_a_round_that_asks_nobody_is_due_at_once(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    change = Change(
        incident=seen.due_in(timedelta(seconds=90), lease.now), look=Round(groups={}, purpose="nothing to ask")
    )
    world.ledger.save(change, lease)
    assert world.ledger.claim(incident, [PAGE]) is not None
