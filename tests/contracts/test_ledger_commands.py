"""Commands: a person's word waits for the next move, and nothing takes it back unread."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import BadInput
from byteport.records.change import Change
from byteport.records.incident import Phase
from tests.contracts.conftest import PAGE, RUNBOOK


@pytest.mark.parametrize("word", ["cancel", "close"])
def test_a_command_waits_for_the_next_move_and_is_due_at_once(world, word):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.ledger.save(Change(incident=seen.to(Phase.VERIFY, due_at=lease.now + timedelta(hours=1))), lease)
    commanded = world.ledger.command(incident, word, "ada", "enough")
    assert (commanded.command, commanded.command_by, commanded.command_why) == (word, "ada", "enough")
    seen, lease = world.claim(incident)
    assert seen.command == word
    assert world.ledger.save(Change(incident=seen.model_copy(update={"command": ""})), lease).command == ""
    assert "command" in world.kinds(incident)


def test_a_command_during_a_move_is_not_lost(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.ledger.command(incident, "cancel", "ada", "enough")
    saved = world.ledger.save(Change(incident=seen.to(Phase.ACT, due_at=lease.now + timedelta(hours=1))), lease)
    assert (saved.command, saved.phase) == ("cancel", Phase.ACT)
    assert world.claim(incident)[0].command == "cancel"


def test_an_ack_cuts_no_wait_short(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.ledger.save(Change(incident=seen.to(Phase.ACT, due_at=lease.now + timedelta(hours=1))), lease)
    assert world.ledger.command(incident, "ack", "ada", "mine").command == ""
    assert world.ledger.events(incident)[-1].text == "ack by ada: mine"
    assert world.ledger.claim(incident, [PAGE]) is None


@pytest.mark.parametrize(("first", "then"), [("cancel", "close"), ("close", "cancel"), ("cancel", "ack")])
def test_a_word_that_ends_an_incident_is_taken_back_by_none_that_follows(world, first, then):
    incident = world.open()
    world.ledger.command(incident, first, "ada", "enough")
    world.ledger.command(incident, then, "bob", "later")
    seen, _ = world.claim(incident)
    assert (seen.command, seen.command_by, seen.command_why) == (first, "ada", "enough")
    assert world.kinds(incident).count("command") == 2


@pytest.mark.parametrize(("direction", "word"), [("do", "stale"), ("undo", "begun")])
def test_no_step_begins_over_an_unread_cancel_and_an_undo_does(world, direction, word):
    incident, lease = world.acting()
    intent = world.intent(incident, lease)
    world.sql("update byteport.intents set direction = %s where key = %s", direction, intent.key)
    world.ledger.command(incident, "cancel", "ada", "hands off")
    begun = "select byteport.begin_attempt(%s, %s, %s, 0, interval '20 s', %s) as word"
    assert world.sql(begun, intent.key, incident, lease.token, RUNBOOK)[0]["word"] == word


@pytest.mark.parametrize(("incident", "word"), [("inc-none", "close"), ("", "close"), ("open", "explode")])
def test_a_command_that_cannot_be_followed_is_bad_input(world, incident, word):
    opened = world.open()
    with pytest.raises(BadInput):
        world.ledger.command(opened if incident == "open" else incident, word, "ada", "")
    assert world.ledger.incident(opened).command == ""


def test_an_ended_incident_takes_no_command(world):
    incident = world.open()
    world.move(incident, phase=Phase.CLOSED, ending="resolved")
    with pytest.raises(BadInput, match="ended"):
        world.ledger.command(incident, "close", "ada", "")
