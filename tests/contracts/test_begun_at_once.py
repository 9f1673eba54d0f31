"""An intent that is opened and begun in one statement: all or nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import BadInput, Overspent, Paused, Stale
from byteport.grammar.plan import Undo
from tests.contracts.conftest import RUNBOOK, Kick, acting, once, race

FIVE = timedelta(seconds=5)


def at_once(world, incident, lease, *claims, key="i1", undo=None, timeout=FIVE):
    return world.ledger.open_and_begin(world.new_intent(incident, *claims, key=key, undo=undo), lease, timeout, RUNBOOK)


def nothing_was_written(world):
    return world.sql("select key from byteport.intents") == [] == world.sql("select claim_key from byteport.spends")


def test_it_is_opened_begun_spent_and_told_as_in_two_steps(world):
    incident, lease = world.acting()
    intent, begun = at_once(world, incident, lease, once(), undo=Undo(action=Kick(), by=timedelta(hours=4)))
    assert begun
    assert (intent.attempts, intent.outcome, intent.answered) == (1, None, False)
    assert world.ledger.find_intent("i1") == intent
    assert world.ledger.incident(incident).acted_at == intent.begun_at
    assert world.kinds(incident)[-2:] == ["intent", "attempt"]
    (owed,) = world.ledger.owed(incident)
    assert owed.by - intent.begun_at == timedelta(hours=4)
    assert world.sql("select begun_at = %s as same from byteport.spends", intent.begun_at) == [{"same": True}]


def test_what_was_opened_before_is_not_begun(world):
    incident, lease = world.acting()
    first = world.intent(incident, lease, once(), key="i1")
    assert at_once(world, incident, lease, once()) == (first, False)


def test_what_another_has_begun_is_not_begun_again(world):
    incident, lease = world.acting()
    first, _ = at_once(world, incident, lease, once())
    assert at_once(world, incident, lease, once()) == (first, False)
    assert world.ledger.find_intent("i1").attempts == 1


def test_of_many_at_once_one_begins(world):
    incident, lease = world.acting()
    new = world.new_intent(incident, once(), key="i1")
    answers = race([lambda: world.ledger.open_and_begin(new, lease, FIVE, RUNBOOK)] * 6)
    assert sorted(begun for _, begun in answers) == [False] * 5 + [True]


@pytest.mark.parametrize("runbook", ["", RUNBOOK])
def test_under_a_pause_nothing_is_opened(world, runbook):
    incident, lease = world.acting()
    world.ledger.pause(runbook, "freeze", "ada")
    with pytest.raises(Paused) as refused:
        at_once(world, incident, lease, once())
    assert "ada: freeze" in refused.value.verdict.reason
    assert nothing_was_written(world)


def test_nothing_is_opened_where_the_claim_ends_too_soon(world):
    incident, lease = world.acting()
    with pytest.raises(Stale):
        at_once(world, incident, lease, once(), timeout=timedelta(seconds=39))
    assert nothing_was_written(world)


def test_nothing_is_opened_under_a_claim_that_has_passed_on(world):
    incident, lease = world.acting()
    world.travel(41)
    world.claim(incident)
    with pytest.raises(Stale):
        at_once(world, incident, lease, once())
    assert nothing_was_written(world)


@pytest.mark.parametrize("word", ["cancel", "close"])
def test_nothing_is_opened_after_a_persons_word(world, word):
    incident, lease = world.acting()
    world.ledger.command(incident, word, "ada", "hands off")
    with pytest.raises(Stale):
        at_once(world, incident, lease, once())
    assert nothing_was_written(world)


def test_over_the_limit_nothing_is_opened(world):
    (one, first), (other, second) = acting(world, 2)
    at_once(world, one, first, once(), key="i1")
    with pytest.raises(Overspent):
        at_once(world, other, second, once(), key="i2")
    assert world.ledger.find_intent("i2") is None
    assert world.sql("select intent from byteport.spends") == [{"intent": "i1"}]


def test_an_intent_of_another_incident_is_refused(world):
    (_, lease), (other, _) = acting(world, 2)
    with pytest.raises(BadInput):
        at_once(world, other, lease)
