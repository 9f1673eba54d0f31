"""A look that nobody answered, an answer that is older than it seems: unknown, and nothing is done on it."""

from __future__ import annotations

import pytest

from byteport.model.signal import Severity
from byteport.records.evidence import Answer
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.engine import stubborn
from tests.ward import pages
from tests.ward.world import World


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, *stubborn.ALL)


def without_probers(world: World, incident: str, moves: int, each: float = 91) -> None:
    """Moves while no probe worker is alive; every look passes its deadline."""
    for _ in range(moves):
        world.engine().move(incident)
        travel(world.url, each)


@pytest.mark.parametrize("answered", [True, False])
def test_a_verification_that_nobody_could_look_at_is_not_resolved(world: World, answered: bool) -> None:
    incident = world.open("ward_stepwise")
    world.run(incident, until=Phase.VERIFY)
    if answered:
        assert world.run(incident).ending == "resolved"
        return
    world.ward.set("v1", "leaking", True)
    without_probers(world, incident, 6)
    assert world.now(incident).phase is Phase.ESCALATE


@pytest.mark.parametrize("answered", [True, False])
def test_an_undo_is_not_performed_on_an_old_look(world: World, answered: bool) -> None:
    incident = world.open("ward_undoing")
    world.run(incident, until=Phase.ESCALATE)
    if answered:
        world.run(incident)
    else:
        without_probers(world, incident, 4)
    assert world.ward.valve("v1").value == (0 if answered else 7)


def test_a_plan_does_not_go_on_from_a_look_that_nobody_answered(world: World) -> None:
    incident = world.open("ward_several")
    while not any("the plan looks again" in text for text in world.texts(incident, "look")):
        world.step(incident) if world.now(incident).cursor < 3 else world.engine().move(incident)
        if world.wait_of(incident) > 0:
            travel(world.url, world.wait_of(incident) + 0.05)
    before = len(world.ward.effects())
    without_probers(world, incident, 30, 20)
    assert "closed_twice: unknown (valve: timeout: nobody answered in time)" in world.texts(incident, "check")
    assert len(world.ward.effects()) == before


def test_an_answer_is_as_old_as_the_asking(world: World) -> None:
    incident = world.open("ward_one")
    world.engine().move(incident)
    (round_, group), *_ = sorted(world.engine().groups_to_send(incident), key=lambda sent: sent[1] != "valves")
    lease = world.ledger.take_group(incident, round_, group)
    assert lease is not None
    travel(world.url, 60)  # its bearer stood still on the way
    world.ledger.store_answers(lease, [Answer(field="valve", fact={}, duration_ms=500)])
    (stored,) = [answer for answer in world.ledger.answers(incident) if answer.field == "valve"]
    assert (stored.taken_at - lease.now).total_seconds() == pytest.approx(0.5, abs=0.01)


def test_a_guard_that_reads_more_than_it_names_does_not_pass_on_old_evidence(world: World) -> None:
    incident = world.open("ward_unnamed")
    world.run(incident, until=Phase.ACT)
    travel(world.url, 3600)
    for _ in range(6):  # the gauge's own connection is dead: only the valves answer
        engine = world.engine()
        for round_, group in engine.groups_to_send(incident):
            if group == "valves":
                engine.look(incident, round_, group)
        engine.move(incident)
    assert world.ward.effects() == []
    assert world.run(world.open("ward_unnamed", "v2")).ending == "resolved"


def test_a_signal_during_an_owed_undo_is_not_taken_for_seen_by_the_undos_own_look(world: World) -> None:
    incident = world.open("ward_owing_long")
    world.run(incident, until=Phase.WRITE_UP)
    world.ward.set("v1", "leaking", True)
    world.engine().take(world.signal("ward_owing_long", severity=Severity.CRITICAL))
    ended = world.run(incident)
    assert world.ward.valve("v1").leaking
    assert (ended.phase, ended.ending) != (Phase.CLOSED, "resolved")


def test_people_do_not_wait_for_an_undos_look(world: World) -> None:
    """No prober lives: people hear within the minute all the same."""
    incident = world.open("ward_undoing")
    world.run(incident, until=Phase.ESCALATE)
    without_probers(world, incident, 12, 5)
    world.engine().deliver_due()
    assert [delivery.message.kind for delivery in world.notebook.sent] == ["escalation"]


def test_a_process_without_hands_acts_on_nothing(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.has_hands = False
    for _ in range(3):
        world.engine().run(incident, [Phase.PROBE, Phase.CLASSIFY, Phase.PLAN])
    assert world.ward.effects() == []
    world.has_hands = True
    assert world.run(incident).ending == "resolved"
