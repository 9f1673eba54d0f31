"""Looks that come late, one after another or never: who hears of it, and what they count for."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Annotated, Any

import pytest

from byteport.engine.gathering import ask_all, gather
from byteport.grammar.evidence import Evidence, probe
from byteport.grammar.runbook import Check
from byteport.model.base import Value
from byteport.model.signal import Severity
from byteport.model.target import Target
from byteport.model.units import seconds
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.engine import stubborn
from tests.engine.test_gathering import VALVE
from tests.ward import pages
from tests.ward.breaking import sql
from tests.ward.pages import NEVER_WELL, ONE
from tests.ward.world import World

BOTH = Check(
    "both", lambda e: e.dry() and e.pressure_known(), needs=("valve", "gauge"),
    after=seconds(0), within=seconds(0), every=seconds(1),
)  # fmt: skip
TWO_LOOKS = pages.page("ward_two_looks", pages.one, verify=(BOTH,))


@pytest.fixture
def world(world: World) -> World:
    world.pages = (*pages.ALL, *stubborn.ALL, TWO_LOOKS)
    return world


@pytest.mark.parametrize("each", [5, 31])
def test_people_hear_although_an_undo_is_looked_at_again_and_again(world: World, each: float) -> None:
    incident = world.open("ward_owing_long")
    world.run(incident, until=Phase.WRITE_UP)
    world.ward.set("v1", "leaking", True)
    sql(
        world,
        "update byteport.obligations set undo = jsonb_set(undo, '{when}', '\"never\"') where incident = %s",
        incident,
    )
    world.engine().take(world.signal("ward_owing_long", severity=Severity.CRITICAL))
    for _ in range(60):
        world.step(incident)
        travel(world.url, each)
    world.engine().deliver_due()
    assert world.notebook.sent


def test_a_signal_between_the_looks_of_a_verification_is_looked_at(world: World) -> None:
    incident = world.open("ward_two_looks")
    world.run(incident, until=Phase.VERIFY)
    engine = world.engine()
    engine.move(incident)
    (round_, _), *_ = engine.groups_to_send(incident)
    engine.look(incident, round_, "valves")
    world.ward.set("v1", "leaking", True)
    travel(world.url, 1)
    engine.take(world.signal("ward_two_looks"))
    travel(world.url, 1)
    engine.look(incident, round_, "gauges")
    ended = world.run(incident)
    assert (ended.phase, ended.ending) != (Phase.CLOSED, "resolved")


def test_before_is_the_first_round_that_anybody_answered(world: World) -> None:
    incident = world.open("ward_one")
    world.engine().move(incident)
    travel(world.url, 91)
    world.engine().move(incident)
    sql(world, "update byteport.incidents set phase = 'open', due_at = byteport.clock() where id = %s", incident)
    current = world.run(incident, until=Phase.ACT)
    e: Any = gather(ONE, current.signal.target, world.ledger.answers(incident), current.due_at, {})
    assert e.before.valve.leaking


def test_an_answer_that_took_longer_than_its_probes_limit_is_a_time_out() -> None:
    class Reading(Value):
        n: int

    over, done = threading.Event(), threading.Event()

    @probe(over="one", timeout=seconds(5))
    def slow(target: Target, readers: Any) -> Reading:
        """Has 5 s."""
        done.wait(4)
        return Reading(n=1)

    @probe(over="one", timeout=seconds(0.2))
    def quick(target: Target, readers: Any) -> Reading:
        """Has 0.2 s, and takes 0.6 s."""
        over.wait(0.6)
        done.set()
        return Reading(n=2)

    class Two(Evidence):
        slow: Annotated[Reading, slow]
        quick: Annotated[Reading, quick]

    Two.__annotations__ = {"slow": Annotated[Reading, slow], "quick": Annotated[Reading, quick]}
    page = replace(
        ONE, name="two", evidence=Two, rules=(), checks={}, verify=(replace(NEVER_WELL[0], needs=("slow",)),)
    )
    readers: Any = None
    answers = {a.field: a for a in ask_all(page, ("slow", "quick"), VALVE, readers)}
    assert answers["slow"].failure is None
    assert answers["quick"].failure is not None


AWAY = 300.0  # seconds: within the locks' 15 min, and far beyond what a look lasts


def looked_and_away(world: World, incident: str, purpose: str) -> None:
    """Moves until that look is out and answered; then whoever was to decide on it is away for five minutes."""
    for _ in range(40):
        moved = world.engine().move(incident)
        for round_, group in world.engine().groups_to_send(incident):
            world.engine().look(incident, round_, group)
        if purpose in world.texts(incident, "look"):
            break
        if moved is None or not moved.is_due_now:
            travel(world.url, max(0.0, world.wait_of(incident)) + 0.05)
    assert purpose in world.texts(incident, "look")
    travel(world.url, AWAY)


@pytest.mark.parametrize("away", [True, False])
def test_a_plan_goes_on_from_what_is_so_now_and_not_from_an_old_look(world: World, away: bool) -> None:
    incident = world.open("ward_several")
    if away:
        looked_and_away(world, incident, "the plan looks again")
        world.ward.set("v1", "value", 2)  # closed by hand meanwhile: the second turn is not needed
    world.run(incident)
    assert [effect["kind"] for effect in world.ward.effects()].count("pulse") == (1 if away else 2)


@pytest.mark.parametrize("away", [True, False])
def test_a_verification_decides_on_what_is_so_now(world: World, away: bool) -> None:
    incident = world.open("ward_one")
    if away:
        looked_and_away(world, incident, "verification")
        world.ward.set("v1", "leaking", True)
    assert (world.run(incident).ending == "resolved") is not away


@pytest.mark.parametrize("away", [True, False])
def test_an_undo_is_decided_on_what_is_so_now(world: World, away: bool) -> None:
    incident = world.open("ward_undoing")
    world.run(incident, until=Phase.ESCALATE)
    if away:
        looked_and_away(world, incident, "may it be undone?")
        world.ward.set("v1", "leaking", True)  # its condition has become false
    world.run(incident)
    assert world.ward.valve("v1").value == (7 if away else 0)
