"""Owed looks in the ledger: stored with the move that closes, taken once when they are due."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import Stale
from byteport.model.signal import Severity
from byteport.records.change import Change
from byteport.records.incident import Phase
from tests.contracts.conftest import PAGE, RUNBOOK, race

HOUR = timedelta(hours=1)


def owing(world, key: str = "db-1") -> str:
    incident = world.open(key)
    world.move(incident, phase=Phase.CLOSED, ending="partially_resolved", owes_look=HOUR)
    return incident


def opening(world, incident: str, key: str = "db-1"):
    return world.opening(key, follows=incident)


def due(world) -> list[str]:
    return [one.id for one in world.ledger.looks_due()]


def test_a_look_is_due_at_its_date_and_no_sooner(world):
    incident = owing(world)
    world.travel(3599)
    assert due(world) == []
    assert world.ledger.take_look(incident, opening(world, incident)) is None
    world.travel(1)
    (found,) = world.ledger.looks_due()
    assert (found.id, found.due_at) == (incident, found.closed_at + HOUR)


def test_whoever_takes_it_is_named_in_both_journals(world):
    incident = owing(world)
    world.travel(3600)
    looker = world.ledger.take_look(incident, opening(world, incident)).incident
    assert world.ledger.incident(looker).follows == incident
    (there,) = [event for event in world.ledger.events(incident) if event.kind == "looked_again"]
    (here,) = [event for event in world.ledger.events(looker) if event.kind == "follows"]
    assert (there.data, here.data) == ({"incident": looker, "absorbed": False}, {"incident": incident})
    assert world.ledger.chain_breaks([incident, looker]) == []


def test_of_many_who_take_it_one_does(world):
    incident = owing(world)
    world.travel(3600)
    taken = race([lambda: world.ledger.take_look(incident, opening(world, incident))] * 6)
    assert len([one for one in taken if one is not None]) == 1
    assert len(world.ledger.listing()) == 2
    assert due(world) == []


def test_a_move_that_is_not_saved_owes_nothing(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.open()  # a signal while it is being closed
    with pytest.raises(Stale):
        world.ledger.save(Change(incident=seen.to(Phase.CLOSED), owes_look=HOUR), lease)
    assert world.sql("select * from byteport.owed_looks") == []


def test_it_waits_for_an_incident_under_way_also_where_that_came_a_moment_ago(world):
    incident = owing(world)
    world.travel(3600)
    assert due(world) == [incident]
    other = world.open()
    assert due(world) == []
    assert world.ledger.take_look(incident, opening(world, incident)) is None
    world.move(other, phase=Phase.CLOSED)
    assert world.ledger.take_look(incident, opening(world, incident)) is not None


def test_it_is_left_to_an_incident_that_people_have_heard_of_and_disturbs_nothing_there(world):
    incident = owing(world)
    other = world.open()
    now = world.sql("select byteport.clock() as now")[0]["now"]
    world.move(other, phase=Phase.ESCALATE, escalated_at=now, due_at=now + timedelta(days=7))
    before = world.ledger.incident(other)
    world.travel(3600)
    louder = world.opening("db-1", follows=incident, severity=Severity.CRITICAL)
    admission = world.ledger.take_look(incident, louder)
    assert (admission.incident, admission.absorbed) == (other, True)
    assert world.ledger.incident(other) == before
    assert world.ledger.claim(other, [PAGE]) is None
    assert due(world) == []


def test_it_holds_nothing_while_it_is_owed(world):
    incident = owing(world)
    assert world.ledger.held_locks() == []
    assert world.ledger.wake_due() == []
    assert world.ledger.next_due(timedelta(hours=2)) is None
    assert world.ledger.claim(incident, [PAGE]) is None


def test_an_unknown_incident_owes_nothing(world):
    assert world.ledger.take_look("inc-0", world.opening(runbook=RUNBOOK)) is None
