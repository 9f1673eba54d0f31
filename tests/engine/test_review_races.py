"""Several engines, lookers and sweepers on one incident: everything once, and no wait that is over already."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import pytest

from byteport.engine.gathering import ask_all
from byteport.grammar.evidence import Evidence, probe
from byteport.grammar.runbook import Check
from byteport.model.signal import Mode
from byteport.model.target import Target, TargetKind
from byteport.model.units import seconds
from byteport.ports import Readers
from byteport.records.incident import Incident, Phase
from tests.ward import pages
from tests.ward.breaking import BACK, OWING, sql
from tests.ward.world import World, race


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, BACK, OWING)


def driven(world: World, incident: str, stop: threading.Event) -> Callable[[], int]:
    """Look and move as fast as it goes until it rests; how many moves were this one's."""
    engine = world.engine()

    def run() -> int:
        moves = 0
        while not stop.is_set():
            for round_, group in engine.groups_to_send(incident):
                engine.look(incident, round_, group)
            moves += engine.move(incident) is not None
            seen = world.now(incident)
            if seen.phase is Phase.CLOSED or (seen.phase is Phase.ESCALATE and seen.escalated_at is not None):
                return moves
        return moves

    return run


@pytest.mark.parametrize("runbook", ["ward_one", "ward_stepwise", "ward_back"])
def test_several_engines_on_one_incident_do_everything_once(world: World, runbook: str) -> None:
    incident, stop = world.open(runbook), threading.Event()
    timer = threading.Timer(25, stop.set)
    timer.start()
    answers = race([driven(world, incident, stop) for _ in range(3)])
    timer.cancel()
    assert all(isinstance(answer, int) for answer in answers), answers
    assert world.ward.doubled() == []
    assert len(world.ward.effects()) == {"ward_one": 1, "ward_stepwise": 2, "ward_back": 2}[runbook]
    assert world.now(incident).version == sum(answers)
    assert world.ledger.verify_chain(incident) is None


def test_a_group_that_two_workers_look_at_is_answered_once(world: World) -> None:
    incident = world.open("ward_one")
    engine = world.engine()
    engine.move(incident)
    groups = engine.groups_to_send(incident)
    looks = [lambda g=group: engine.look(incident, g[0], g[1]) for group in groups for _ in range(2)]
    answers = race(looks)
    assert sum(answer.stored for answer in answers) == len(groups)
    assert sum(answer.completes_the_round for answer in answers) == 1
    assert sql(world, "select count(*) from byteport.evidence") == [(2,)]


def test_two_sweepers_wake_everything_once_between_them(world: World) -> None:
    opened = {world.open("ward_one", f"v{n}") for n in range(12)}
    first, second = race([world.ledger.wake_due, world.ledger.wake_due])
    woken = [due.incident for due in (*first, *second)]
    assert sorted(woken) == sorted(opened)
    assert world.ledger.wake_due() == []


def hang(_target: Target, _readers: Readers) -> int:
    """Hangs."""
    threading.Event().wait(3)  # a connection that says nothing
    return 1


class Hanging(Evidence):
    """Three questions over one connection that never answers."""

    one: Annotated[int, probe("valves", timeout=seconds(1))(hang)]
    two: Annotated[int, probe("valves", timeout=seconds(1))(hang)]
    three: Annotated[int, probe("valves", timeout=seconds(1))(hang)]


def test_probes_that_hang_together_cost_one_time_out_and_not_one_each() -> None:
    page = replace(
        pages.ONE, evidence=Hanging, rules=(), verify=(Check("x", lambda _e: True, needs=("one",)),), checks={}
    )
    target = Target(kind=TargetKind.SERVICE, key="v1")
    began = time.monotonic()
    answers = ask_all(page, ("one", "two", "three"), target, None)  # type: ignore[arg-type]
    assert time.monotonic() - began < 2
    assert [answer.failure.kind for answer in answers if answer.failure] == ["timeout"] * 3


def test_every_wait_is_ahead_of_now(world: World) -> None:
    """Whatever rests must have a date that is still to come, or it would be woken for ever."""
    resting: list[Incident] = []
    for runbook, mode in (("ward_failing", Mode.LIVE), ("ward_one", Mode.APPROVE), ("ward_owing", Mode.LIVE)):
        resting.append(world.run(world.open(runbook, f"v-{runbook}", mode=mode)))
    assert all(world.wait_of(incident.id) > 1 for incident in resting)
    assert all(world.engine().move(incident.id) is None for incident in resting)
