"""What a person has said counts: nothing that comes later takes a cancel back, and an approval is of one plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from byteport.engine import approving
from byteport.errors import BadInput
from byteport.grammar.plan import Plan
from byteport.model.signal import Mode
from byteport.records.incident import Incident, Phase
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.breaking import BACK, Between, sql, steps
from tests.ward.world import World


def by_value(e: Any) -> Plan:
    """Another plan for every value; none from nine on."""
    if e.valve.value >= 9:
        return Plan(end="escalate", reason="turned by hand")
    return Plan(steps=(pages.SET(name=pages.key(e), was=e.valve.value, to=9),))


BY_VALUE = pages.page("ward_by_value", by_value)


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, BACK, BY_VALUE)


def acting(world: World) -> str:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    return incident


def asked(world: World, runbook: str = "ward_one") -> str:
    incident = world.run(world.open(runbook, mode=Mode.APPROVE))
    assert incident.word == "awaiting_approval"
    return incident.id


def approve(world: World, incident: str) -> Incident:
    world.ledger.command(incident, "approve", "bob", "looks right")
    return world.run(incident)


# -- commands ----------------------------------------------------------------------------------------------------------
def test_an_ack_does_not_take_a_cancel_back(world: World) -> None:
    incident = acting(world)
    world.ledger.command(incident, "cancel", "ada", "hands off")
    world.ledger.command(incident, "ack", "bob", "seen")
    assert world.run(incident).ending == "cancelled"
    assert world.ward.effects() == []


def test_an_ack_does_not_take_an_approval_back(world: World) -> None:
    incident = asked(world)
    world.ledger.command(incident, "approve", "ada", "looks right")
    world.ledger.command(incident, "ack", "bob", "seen")
    assert world.run(incident).ending == "resolved"


@pytest.mark.parametrize("word", ["cancel", "close"])
def test_an_approval_does_not_take_back_the_word_that_ended_it_and_says_so(world: World, word: str) -> None:
    incident = asked(world)
    world.ledger.command(incident, word, "ada", "hands off")
    with pytest.raises(BadInput, match="ada"):
        world.ledger.command(incident, "approve", "bob", "looks right")
    world.run(incident)
    assert world.ward.effects() == []


def test_a_cancel_goes_before_an_approval_that_nobody_has_read(world: World) -> None:
    incident = asked(world)
    world.ledger.command(incident, "approve", "bob", "looks right")
    world.ledger.command(incident, "cancel", "ada", "hands off")
    assert world.run(incident).reason == "cancelled by ada: hands off"
    assert world.ward.effects() == []


@pytest.mark.parametrize("same", [True, False])
def test_an_approval_is_for_the_plan_that_was_seen(world: World, same: bool) -> None:
    incident = asked(world)
    waiting = world.now(incident).plan
    assert waiting is not None
    seen = waiting.digest if same else "of the plan before"
    if not same:
        with pytest.raises(BadInput, match="made anew since you saw it"):
            world.ledger.command(incident, "approve", "bob", "looks right", seen)
    else:
        world.ledger.command(incident, "approve", "bob", "looks right", seen)
    world.run(incident)
    assert bool(world.ward.effects()) is same


@pytest.mark.parametrize("word", ["cancel", "close"])
def test_no_attempt_begins_after_a_cancel_was_answered(world: World, word: str) -> None:
    incident = acting(world)
    ledger = world.ledger
    world.ledger = Between(ledger, "open_and_begin", lambda: ledger.command(incident, word, "ada", "hands off"))
    steps(world, incident, 3)
    world.ledger = ledger
    assert world.run(incident).phase is Phase.CLOSED
    assert world.ward.effects() == []
    assert ledger.intents_of(incident) == []


def test_a_second_close_does_not_hold_up_the_undo_that_the_first_one_waits_for(world: World) -> None:
    incident = world.open("ward_back")
    world.run(incident, until=Phase.VERIFY)
    for _ in range(2):
        world.ledger.command(incident, "close", "ada", "enough")
        world.step(incident)
    assert world.run(incident).phase is Phase.CLOSED
    assert world.ward.valve("v1").value == 0


# -- approvals ---------------------------------------------------------------------------------------------------------
def test_an_approved_plan_goes_ahead_when_it_is_still_the_same(world: World) -> None:
    incident = asked(world, "ward_by_value")
    travel(world.url, 20 * 60)
    approve(world, incident)
    assert [effect["after"] for effect in world.ward.effects()] == [9]
    assert "looking again before what was approved is done" in world.texts(incident, "look")


def test_an_approved_plan_that_would_be_another_by_now_is_asked_again(world: World) -> None:
    incident = asked(world, "ward_by_value")
    world.ward.set("v1", "value", 5)  # a person worked on it; it still leaks
    again = approve(world, incident)
    assert world.ward.effects() == []
    assert again.word == "awaiting_approval"
    assert world.wait_of(incident) > approving.APPROVAL_DEADLINE.total_seconds() - 60
    approve(world, incident)
    assert [(effect["before"], effect["after"]) for effect in world.ward.effects()] == [(5, 9)]


def test_a_plan_that_is_another_each_time_is_escalated_after_the_second(world: World) -> None:
    incident = asked(world, "ward_by_value")
    for value in (5, 6):
        world.ward.set("v1", "value", value)
        ended = approve(world, incident)
    assert ended.phase is Phase.ESCALATE
    assert "another again" in ended.reason
    assert world.ward.effects() == []


def test_a_plan_that_has_become_a_persons_needs_no_approval(world: World) -> None:
    incident = asked(world, "ward_by_value")
    world.ward.set("v1", "value", 9)
    ended = approve(world, incident)
    assert (ended.phase, ended.reason) == (Phase.ESCALATE, "turned by hand")


def test_what_is_over_when_it_is_approved_has_recovered(world: World) -> None:
    incident = asked(world)
    world.ward.set("v1", "leaking", False)
    assert approve(world, incident).ending == "recovered"
    assert world.ward.effects() == []


def test_what_cannot_be_looked_at_when_it_is_approved_escalates(world: World) -> None:
    incident = asked(world)
    world.ward.set("v1", "broken", True)
    ended = approve(world, incident)
    assert (ended.phase, ended.diagnosis.name if ended.diagnosis else "") == (Phase.ESCALATE, "inconclusive")
    assert world.ward.effects() == []


def test_an_approval_is_single_use(world: World) -> None:
    incident = asked(world)
    world.ledger.command(incident, "approve", "bob", "looks right")
    world.engine().move(incident)
    with pytest.raises(BadInput, match="looked at again"):
        world.ledger.command(incident, "approve", "eve", "me too")


# -- standing words ----------------------------------------------------------------------------------------------------
def test_a_demotion_to_approve_holds_what_has_not_been_written(world: World) -> None:
    incident = acting(world)
    world.ledger.promote("ward_one", Mode.APPROVE, "ada", "ask me first")
    assert world.run(incident).phase is Phase.ESCALATE
    assert world.ward.effects() == []


def test_a_configured_approval_holds_a_run_that_began_live(world: World) -> None:
    incident = acting(world)
    world.policy = replace(world.policy, file_modes={"ward_one": Mode.APPROVE})
    assert "approval" in world.run(incident).reason
    assert world.ward.effects() == []


def test_what_a_person_released_is_done_in_the_mode_in_which_it_was_asked(world: World) -> None:
    incident = asked(world)
    world.ledger.promote("ward_one", Mode.LIVE, "ada", "go on")
    assert approve(world, incident).ending == "resolved"


def test_a_silence_on_a_label_that_is_named_like_a_secret_holds(world: World) -> None:
    world.ledger.silence({"secret": "tls-shop"}, timedelta(hours=1), "renewing it", "ada")
    world.run(world.open("ward_one", labels={"secret": "tls-shop"}))
    assert world.ward.effects() == []
    assert "tls-shop" not in str(sql(world, "select match from byteport.silences"))


def test_a_silence_on_a_target_keeps_its_name(world: World) -> None:
    world.ledger.silence({"target": "ada@v1.example", "team": "a"}, timedelta(hours=1), "moving", "ada")
    world.run(world.open("ward_one", "ada@v1.example", labels={"team": "b"}))
    assert len(world.ward.effects()) == 1
    world.run(world.open("ward_failing", "ada@v1.example", labels={"team": "a"}))
    assert len(world.ward.effects()) == 1
