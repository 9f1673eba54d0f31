"""A person's undo is a veto: seen by looking, kept for a day, told once. Each with the twin where nobody undid anything."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.records.incident import Incident, Phase
from byteport.testing.time_travel import travel
from tests.ward.asking import refused_by
from tests.ward.breaking import Between
from tests.ward.world import PowerCut, World

LATER = timedelta(hours=3).total_seconds()
A_DAY = timedelta(hours=24).total_seconds()


def acted_before(world: World) -> None:
    """It turned the dial from 0 to 1 three hours ago, and the valve leaks again."""
    assert world.run(world.open("ward_lasting")).ending == "resolved"
    travel(world.url, LATER)
    world.ward.set("v1", "leaking", True)


def undone_by_hand(world: World) -> None:
    world.ward.set("v1", "value", 0)
    world.ward.set("v1", "leaking", True)


def escalations(world: World) -> int:
    return len([delivery for delivery in world.notebook.sent if delivery.message.kind == "escalation"])


def cut() -> None:
    raise PowerCut


def closed_by_a_person(world: World, incident: Incident) -> None:
    world.ledger.command(incident.id, "close", "ada", "seen")
    assert world.run(incident.id).phase is Phase.CLOSED


@pytest.mark.parametrize("undone", [True, False])
def test_what_a_person_undid_is_not_done_again(world: World, undone: bool) -> None:
    acted_before(world)
    if undone:
        undone_by_hand(world)
    incident = world.run(world.open("ward_lasting"))
    assert len(world.ward.effects()) == (1 if undone else 2)
    assert refused_by(world, incident.id) == (["human_veto"] if undone else [])
    if undone:
        assert incident.phase is Phase.ESCALATE
        assert "somebody undid dial on valve:v1" in incident.reason


def test_it_is_told_once_and_left_alone_for_a_day(world: World) -> None:
    acted_before(world)
    undone_by_hand(world)
    closed_by_a_person(world, world.run(world.open("ward_lasting")))
    assert escalations(world) == 1
    travel(world.url, LATER)
    again = world.run(world.open("ward_lasting"))
    assert (again.ending, again.phase) == ("suppressed", Phase.CLOSED)
    assert refused_by(world, again.id) == ["human_veto"]
    assert escalations(world) == 1
    assert len(world.ward.effects()) == 1
    travel(world.url, A_DAY)
    assert world.run(world.open("ward_lasting")).ending == "resolved"
    assert len(world.ward.effects()) == 2


def test_a_change_to_something_else_is_no_undo(world: World) -> None:
    acted_before(world)
    world.ward.set("v1", "value", 5)
    assert world.run(world.open("ward_lasting")).ending == "resolved"
    assert [effect["after"] for effect in world.ward.effects()] == [1, 6]


def test_it_binds_the_page_that_acted_and_no_other(world: World) -> None:
    acted_before(world)
    undone_by_hand(world)
    assert world.run(world.open("ward_one")).ending == "resolved"
    assert world.run(world.open("ward_lasting", "v2")).ending == "resolved"


@pytest.mark.parametrize("seen", [True, False])
def test_what_cannot_be_looked_at_denies(world: World, seen: bool) -> None:
    acted_before(world)
    incident = world.open("ward_lasting")
    world.run(incident, until=Phase.ACT)
    if not seen:
        world.ward.set("v1", "broken", True)
    world.run(incident)
    assert len(world.ward.effects()) == (2 if seen else 1)


def test_what_byteport_undid_itself_is_no_veto(world: World) -> None:
    ended = world.run(world.open("ward_undoing"))
    assert ended.undone
    assert [effect["after"] for effect in world.ward.effects()] == [7, 0]
    closed_by_a_person(world, ended)
    travel(world.url, LATER)
    world.ward.set("v1", "leaking", True)
    again = world.run(world.open("ward_undoing"))
    assert refused_by(world, again.id) == []
    assert len(world.ward.effects()) == 4


@pytest.mark.parametrize("undone", [True, False])
def test_a_person_who_is_quicker_than_the_undo_is_a_veto(world: World, undone: bool) -> None:
    incident = world.open("ward_undoing")
    world.run(incident, until=Phase.ESCALATE)
    if undone:
        world.ward.set("v1", "value", 0)
    ended = world.run(incident)
    assert ended.phase is Phase.ESCALATE
    assert ("somebody undid set on valve:v1" in ended.reason) is undone
    assert escalations(world) == 1
    assert [effect["after"] for effect in world.ward.effects()] == ([7] if undone else [7, 0])
    closed_by_a_person(world, ended)
    travel(world.url, LATER)
    world.ward.set("v1", "leaking", True)
    again = world.run(world.open("ward_undoing"))
    assert refused_by(world, again.id) == (["human_veto"] if undone else [])


@pytest.mark.parametrize(("cut_before", "calls", "written"), [("veto", 0, False), ("save", 1, True)])
def test_a_veto_is_told_also_where_the_power_goes_as_it_is_written(
    world: World, cut_before: str, calls: int, written: bool
) -> None:
    acted_before(world)
    undone_by_hand(world)
    incident = world.open("ward_lasting")
    world.run(incident, until=Phase.ACT)
    ledger, world.ledger = world.ledger, Between(world.ledger, cut_before, cut, skip=calls)
    with pytest.raises(PowerCut):
        world.run(incident)
    world.ledger = ledger
    standing = ledger.standing(incident, "ward_lasting", world.signal("ward_lasting").target)
    assert (standing.veto is not None) is written
    travel(world.url, 61)
    assert world.run(incident).phase is Phase.ESCALATE
    assert escalations(world) == 1
    assert len(world.ward.effects()) == 1
