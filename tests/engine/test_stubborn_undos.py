"""What breaks while something is settled or undone: told by its deadline, never done blindly, and nothing stays stuck."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.engine import stubborn
from tests.ward import pages
from tests.ward.breaking import BACK, OWING, Between, sql, steps
from tests.ward.world import PowerCut, World

MORE = (*pages.ALL, *stubborn.ALL, BACK, OWING)


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = MORE


def told(world: World) -> int:
    world.engine().deliver_due()
    return len([sent for sent in world.notebook.sent if sent.message.kind == "escalation"])


def cut() -> None:
    raise PowerCut


def pass_time(world: World, incident: str, times: int, each: float) -> None:
    for _ in range(times):
        travel(world.url, each)
        world.step(incident)


def closes(world: World, incident: str) -> bool:
    world.ledger.command(incident, "close", "ada", "by hand")
    pass_time(world, incident, 10, 3600)
    return world.now(incident).phase is Phase.CLOSED


def test_a_lost_undo_is_told_although_its_worker_died_before_saving(world: World) -> None:
    incident = world.run(world.open("ward_owing")).id
    assert told(world) == 1
    travel(world.url, 601)
    ledger, lost = world.ledger, 0
    for _ in range(6):  # before every move that is saved until it is told
        world.ledger = Between(ledger, "save", cut)
        try:
            world.step(incident)
        except PowerCut:
            lost += 1
        world.ledger = ledger
        pass_time(world, incident, 1, 41)
    assert lost >= 2
    assert told(world) == 2
    assert ledger.owed(incident) == []


def test_an_undo_whose_check_the_newer_page_does_not_have_is_told_by_its_deadline(world: World) -> None:
    incident = world.run(world.open("ward_owing")).id
    newer = replace(OWING, checks={"dry": ("valve",)}, confidence_floor=75)
    world.pages = (*(page for page in MORE if page.name != "ward_owing"), newer)
    for _ in range(20):
        travel(world.url, 101)
        world.engine().tend()
        world.step(incident)
    assert told(world) > 1


def test_an_undo_with_a_bug_is_told_by_its_deadline_and_the_incident_closes(world: World) -> None:
    incident = world.run(world.open("ward_buggy_undo")).id
    assert told(world) == 1
    world.ward.set("v1", "leaking", True)
    pass_time(world, incident, 30, 61)
    assert told(world) == 2
    assert closes(world, incident)


def test_an_undo_whose_target_is_gone_is_told_frees_its_locks_and_lets_the_incident_close(world: World) -> None:
    incident = world.open("ward_back")
    world.run(incident, until=Phase.ESCALATE)
    sql(world, "delete from valves where name = 'v1'")
    pass_time(world, incident, 30, 31)
    assert told(world) >= 1
    assert closes(world, incident)
    assert world.ledger.held_locks() == []


def test_a_step_whose_holds_is_broken_is_settled_and_its_locks_are_freed(world: World) -> None:
    incident = world.run(world.open("ward_buggy_holds")).id
    assert told(world) == 1
    for _ in range(10):
        travel(world.url, 130)
        world.ledger.wake_due()
        world.step(incident)
    assert world.ledger.held_locks() == []
    assert all(intent.outcome is not None for intent in world.ledger.intents_of(incident))


def test_a_step_whose_holds_is_broken_does_not_keep_a_person_from_closing(world: World) -> None:
    assert closes(world, world.run(world.open("ward_buggy_holds")).id)


def test_a_page_that_tells_nothing_can_be_closed(world: World) -> None:
    assert closes(world, world.run(world.open("ward_no_bundle")).id)


def test_what_cannot_be_told_before_the_first_attempt_is_not_taken_for_ours(world: World) -> None:
    incident = world.open("ward_cannot_tell")
    world.run(incident, until=Phase.ACT)
    world.ward.set("v1", "value", 7)  # a person did it meanwhile
    world.ward.set("v1", "broken", True)
    steps(world, incident, 3)
    world.ward.set("v1", "broken", False)
    travel(world.url, 11)
    world.run(incident)
    assert world.ward.valve("v1").value == 7


def test_a_step_that_the_target_refused_owes_no_undo(world: World) -> None:
    world.ward.prepare("v1", stuck=True)
    incident = world.run(world.open("ward_undoing")).id
    assert world.ward.effects() == []
    for column, value in (("stuck", False), ("value", 7), ("leaking", False)):  # a person's own doing, and it helps
        world.ward.set("v1", column, value)
    pass_time(world, incident, 6, 31)
    assert world.ward.valve("v1").value == 7


def test_an_undo_is_not_called_done_while_the_effect_may_still_come(world: World) -> None:
    incident = world.open("ward_late_effect")
    world.run(incident, until=Phase.ACT)
    while not world.ledger.intents_of(incident):
        world.step(incident)
    world.ledger.promote("ward_late_effect", Mode.DRY_RUN, "ada", "stop this")
    travel(world.url, 11)
    steps(world, incident, 4)
    world.ward.change("v1", "set", "the late one", 7, 0)  # 11 s after the attempt, within its patience of 2 min
    world.run(incident)
    pass_time(world, incident, 10, 31)
    assert world.ward.valve("v1").value == 0


def begun_and_waiting(world: World) -> str:
    incident = world.open("ward_unhurried")
    world.run(incident, until=Phase.ACT)
    while not world.ledger.intents_of(incident):
        world.step(incident)
    for _ in range(8):  # longer than any evidence may be acted on
        travel(world.url, 6)
        world.step(incident)
    assert world.now(incident).phase is Phase.ACT
    return incident


def test_what_has_begun_is_waited_for_however_old_a_guards_evidence_gets(world: World) -> None:
    incident = begun_and_waiting(world)
    world.ward.change("v1", "set", "the target itself", 7, 0)
    assert world.run(incident).ending == "resolved"
    done = [intent for intent in world.ledger.intents_of(incident) if intent.direction == "do"]
    assert [intent.attempts for intent in done] == [1]


def test_what_is_not_seen_within_its_patience_is_told_as_that(world: World) -> None:
    incident = begun_and_waiting(world)
    travel(world.url, 200)
    assert world.run(incident).phase is Phase.ESCALATE
    assert "begun, effect never seen" in world.now(incident).reason
    assert "older than" not in world.now(incident).reason


def test_a_pause_still_stops_what_is_waited_for(world: World) -> None:
    incident = begun_and_waiting(world)
    world.ledger.pause("", "freeze", "ada")
    travel(world.url, 6)
    world.step(incident)
    assert world.now(incident).phase is not Phase.ACT
    assert "freeze" in world.now(incident).reason


def test_obligations_on_one_subject_are_undone_in_reverse(world: World) -> None:
    incident = world.open("ward_two_undos")
    world.run(incident)
    pass_time(world, incident, 6, 31)
    assert world.ward.valve("v1").value == 9  # the second one's condition is not there yet, so the first one waits
    world.ward.set("v1", "leaking", True)
    pass_time(world, incident, 6, 31)
    assert world.ward.valve("v1").value == 0


def test_an_undo_that_was_settled_when_its_worker_died_is_done(world: World) -> None:
    """The move that did it was never saved; its condition does not hold any more."""
    incident = world.run(world.open("ward_owing_long")).id
    world.ward.set("v1", "leaking", True)
    ledger, was_cut = world.ledger, False
    while not was_cut:
        before = settled(ledger, incident)
        world.ledger = Between(
            ledger, "save", lambda before=before: cut() if settled(ledger, incident) > before else None
        )
        try:
            pass_time(world, incident, 1, 31)
        except PowerCut:
            was_cut = True
    world.ledger = ledger
    assert len(ledger.owed(incident)) == 1
    world.ward.set("v1", "leaking", False)
    pass_time(world, incident, 1, 41)
    assert ledger.owed(incident) == []
    assert any(": done: " in text for text in world.texts(incident, "undo"))


def settled(ledger: Any, incident: str) -> int:
    return len([one for one in ledger.intents_of(incident) if one.outcome is not None])


def test_an_undo_that_was_done_when_its_worker_died_is_not_asked_for_its_condition_again(world: World) -> None:
    incident = world.run(world.open("ward_owing_long")).id
    assert world.now(incident).phase is Phase.WRITE_UP or world.now(incident).phase is Phase.ESCALATE
    world.ward.set("v1", "leaking", True)
    ledger, was_cut = world.ledger, False
    for _ in range(8):
        world.ledger = Between(ledger, "mark_answered", cut)
        try:
            pass_time(world, incident, 1, 31)
        except PowerCut:
            was_cut = True
            break
    world.ledger = ledger
    assert was_cut, world.texts(incident, "phase")
    world.ward.set("v1", "leaking", False)  # its condition does not hold any more
    pass_time(world, incident, 1, 41)
    assert ledger.owed(incident) == []
    (undo,) = (one for one in ledger.intents_of(incident) if one.direction == "undo")
    assert undo.attempts == 1
    assert [row["kind"] for row in world.ward.effects("v1")] == ["set", "set"]
    assert any("seen to have happened" in text for text in world.texts(incident, "undo"))
