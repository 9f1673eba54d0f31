"""Nothing begins without a live claim, nothing is sent twice, and an outcome is written once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import BadInput, Paused, Permanent, Stale
from byteport.grammar.action import Effect
from byteport.grammar.plan import Undo
from byteport.records.incident import Phase
from byteport.records.intent import Intent
from byteport.records.outcome import Done, Failed
from tests.contracts.conftest import DENIED, RUNBOOK, Kick, acting, once, race


def test_an_intent_is_written_down_with_its_spends_and_its_line(world):
    incident, lease = world.acting()
    intent = world.intent(incident, lease, once(), key="i1")
    assert (intent.attempts, intent.outcome, intent.action) == (0, None, Kick())
    assert world.ledger.find_intent("i1") == intent
    assert world.ledger.intents_of(incident) == [intent]
    assert world.kinds(incident)[-1] == "intent"
    assert world.ledger.find_intent("i2") is None


def test_the_same_intent_opened_twice_is_one_and_spends_once(world):
    incident, lease = world.acting()
    first = world.intent(incident, lease, once(limit=1), key="i1")
    assert world.intent(incident, lease, once(limit=1), key="i1") == first
    assert world.sql("select amount from byteport.spends") == [{"amount": 1}]


def test_no_intent_without_the_claim(world):
    incident, lease = world.acting()
    new = world.new_intent(incident, once(), key="i1")
    world.travel(41)
    world.claim(incident)
    with pytest.raises(Stale):
        world.ledger.open_intent(new, lease)
    assert world.ledger.find_intent("i1") is None
    assert world.sql("select * from byteport.spends") == []


def test_an_intent_of_another_incident_than_the_claimed_one_is_refused(world):
    (_, lease), (other, _) = acting(world, 2)
    with pytest.raises(BadInput):
        world.ledger.open_intent(world.new_intent(other, key="i1"), lease)


def test_an_attempt_begins_under_the_claim_and_dates_everything(world):
    incident, lease = world.acting()
    intent = world.intent(incident, lease, once(), undo=Undo(action=Kick(), by=timedelta(hours=4)))
    assert world.ledger.owed(incident) == []
    begun = world.begin(intent, lease)
    assert (begun.attempts, begun.answered) == (1, False)
    assert world.ledger.incident(incident).acted_at == begun.begun_at
    (owed,) = world.ledger.owed(incident)
    assert owed.by - begun.begun_at == timedelta(hours=4)
    assert world.kinds(incident)[-2:] == ["intent", "attempt"]


def test_a_save_does_not_forget_that_the_incident_has_acted(world):
    incident = world.open()
    world.move(incident, phase=Phase.ACT)
    seen, lease = world.claim(incident)
    begun = world.begin(world.intent(incident, lease), lease)
    assert seen.acted_at is None
    world.travel(41)
    assert world.move(incident, acted_at=None).acted_at == begun.begun_at


def test_a_stale_claim_begins_nothing(world):
    incident, lease = world.acting()
    intent = world.intent(incident, lease)
    world.travel(41)
    fresh = world.claim(incident)[1]
    with pytest.raises(Stale):
        world.begin(intent, lease)
    assert world.ledger.find_intent(intent.key).attempts == 0
    assert world.begin(intent, fresh).attempts == 1


@pytest.mark.parametrize(("gone", "begins"), [(15, True), (19, False), (60, False)])
def test_an_attempt_begins_only_when_the_lease_outlives_it(world, gone, begins):
    incident, lease = world.acting()
    intent = world.intent(incident, lease)
    world.travel(gone)
    if begins:
        assert world.begin(intent, lease, timeout=20).attempts == 1
    else:
        with pytest.raises(Stale):
            world.begin(intent, lease, timeout=20)
        assert world.ledger.find_intent(intent.key).attempts == 0


@pytest.mark.parametrize("runbook", ["", RUNBOOK])
def test_a_pause_between_opening_and_beginning_stops_it(world, runbook):
    incident, lease = world.acting()
    intent = world.intent(incident, lease, once())
    world.ledger.pause(runbook, "look at this first", "ada")
    with pytest.raises(Paused, match="ada: look at this first") as paused:
        world.begin(intent, lease)
    assert not paused.value.verdict.allowed
    assert world.ledger.incident(incident).acted_at is None
    assert "attempt" not in world.kinds(incident)
    assert world.ledger.resume(runbook, "ada") == 1
    assert world.begin(intent, lease).attempts == 1


def test_another_runbooks_pause_stops_nothing(world):
    incident, lease = world.acting()
    world.ledger.pause("other", "not this one", "ada")
    assert world.begin(world.intent(incident, lease), lease).attempts == 1


def test_of_many_that_begin_the_same_attempt_one_does(world):
    incident, lease = world.acting()
    intent = world.intent(incident, lease)
    begun = race([lambda: world.begin(intent, lease)] * 8)
    assert [isinstance(one, Intent) for one in begun].count(True) == 1
    assert [isinstance(one, Stale) for one in begun].count(True) == 7
    assert world.ledger.find_intent(intent.key).attempts == 1


def test_what_was_answered_or_settled_is_never_begun_again(world):
    incident, lease = world.acting()
    begun = world.begin(world.intent(incident, lease), lease)
    answered = world.ledger.mark_answered(begun, Effect(note="ended", count=1, items=("7",)))
    assert answered.answered
    with pytest.raises(Permanent, match="never sent again"):
        world.begin(answered, lease)
    settled = world.ledger.settle(answered, Done(note="ended"))
    with pytest.raises(Permanent, match="settled"):
        world.begin(settled, lease)
    assert world.ledger.find_intent(begun.key).attempts == 1
    assert world.ledger.find_intent(begun.key).effect.items == ("7",)


def test_an_answer_is_kept_when_the_claim_has_passed_on(world):
    incident, lease = world.acting()
    begun = world.begin(world.intent(incident, lease), lease)
    world.travel(41)
    world.claim(incident)
    assert world.ledger.mark_answered(begun, Effect()).answered


def test_an_intent_that_was_never_opened_cannot_begin(world):
    incident, lease = world.acting()
    intent = world.intent(incident, lease)
    with pytest.raises(Permanent, match="never opened"):
        world.begin(intent.model_copy(update={"key": "i-none"}), lease)


def test_the_first_outcome_stays(world):
    incident, lease = world.acting()
    begun = world.begin(world.intent(incident, lease), lease)
    outcomes = [Done(note="first"), Failed(reason="second")]
    settled = race([lambda o=o: world.ledger.settle(begun, o).outcome for o in outcomes])
    assert settled[0] == settled[1]
    assert world.ledger.find_intent(begun.key).outcome == settled[0]
    assert world.kinds(incident).count("settled") == 1


def test_an_outcome_of_an_earlier_attempt_is_not_taken_for_a_later_ones(world):
    incident, lease = world.acting()
    intent = world.intent(incident, lease, once())
    world.begin(intent, lease)
    with pytest.raises(Stale):
        world.ledger.settle(intent, Failed(reason="never begun"), refund=True)
    assert world.ledger.find_intent(intent.key).outcome is None
    assert world.sql("select refunded_at from byteport.spends") == [{"refunded_at": None}]


def test_what_was_never_begun_is_always_given_back_and_owes_nothing(world):
    (first, held), (second, lease) = acting(world, 2)
    intent = world.intent(first, held, once(limit=1), key="i1", undo=Undo(action=Kick(), by=timedelta(hours=1)))
    world.ledger.settle(intent, DENIED)
    assert world.sql("select state from byteport.obligations") == [{"state": "dropped"}]
    assert world.intent(second, lease, once(limit=1), key="i2").key == "i2"


def test_what_was_so_before_owes_no_undo(world):
    incident, lease = world.acting()
    intent = world.begin(world.intent(incident, lease, undo=Undo(action=Kick(), by=timedelta(hours=1))), lease)
    world.ledger.settle(intent, Done(ours=False), refund=True)
    assert world.ledger.owed(incident) == []


def test_what_failed_after_an_attempt_still_owes_its_undo(world):
    incident, lease = world.acting()
    intent = world.begin(world.intent(incident, lease, undo=Undo(action=Kick(), by=timedelta(hours=1))), lease)
    world.ledger.settle(intent, Failed(reason="begun, effect never seen", unknown=True))
    assert [owed.move for owed in world.ledger.owed(incident)] == ["kick"]
