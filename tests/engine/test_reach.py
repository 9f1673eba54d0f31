"""Whose word counts on where a target lives, which locks must be held, and how long a page leaves a target alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from byteport.engine.policy import Policy
from byteport.model.target import Target, TargetKind
from byteport.records.change import LockWanted
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.engine import stubborn
from tests.ward import pages
from tests.ward.asking import refused_by, with_policy
from tests.ward.breaking import claimed
from tests.ward.world import World

NODE = Target(kind=TargetKind.SERVICE, key="v1", within=("node:n1",))
SIXTEEN_MINUTES = 16 * 60


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, *stubborn.ALL)


def taken_by_another(world: World, lock: LockWanted) -> None:
    other = world.open("ward_one", "v9")
    assert world.ledger.take_locks(claimed(world, other), [lock]) is None


@pytest.mark.parametrize("known", [True, False])
def test_a_signal_that_does_not_say_where_its_target_lives_is_related_by_the_inventory(
    world: World, known: bool
) -> None:
    if known:
        world.ledger.see_target(NODE)
    taken_by_another(world, LockWanted(key="node:n1"))  # it is being drained
    incident = world.open("ward_one")  # from a webhook that names the pod and nothing else
    for _ in range(12):
        world.step(incident)
    assert bool(world.ward.effects("v1")) is not known


def test_a_sender_cannot_move_a_target_that_is_known(world: World) -> None:
    world.ledger.see_target(NODE)
    incident = world.now(world.open("ward_one", within=("node:n2",)))
    assert incident.signal.target.within == ("node:n1",)


def test_what_the_configuration_says_of_a_target_beats_the_inventory_and_the_sender(world: World) -> None:
    world.ledger.see_target(NODE)
    with_policy(world, configured=lambda target: target.with_(within=("server:db1:5432",)))
    incident = world.now(world.open("ward_one", within=("node:elsewhere",)))
    assert incident.signal.target.within == ("server:db1:5432",)


@pytest.mark.parametrize(
    "lock",
    [
        LockWanted(key="node:n1"),
        LockWanted(key="remediations", exclusive=False, capacity=1, guard="max_concurrent_remediations"),
    ],
)
@pytest.mark.parametrize("lapsed", [True, False])
def test_a_lock_that_lapsed_and_was_taken_stops_the_run(world: World, lock: LockWanted, lapsed: bool) -> None:
    """Shared ones and places under a capacity too: nobody moved it for 16 minutes."""
    with_policy(world, max_concurrent=1 if lock.capacity else 5)
    incident = world.open("ward_one", within=("node:n1",))
    world.run(incident, until=Phase.ACT)
    world.engine().move(incident)  # takes its locks
    if lapsed:
        travel(world.url, SIXTEEN_MINUTES)
        taken_by_another(world, lock)
    world.run(incident)
    assert bool(world.ward.effects("v1")) is not lapsed
    if lapsed:
        assert refused_by(world, incident) == ["target_lock"]


def test_a_cooldown_counts_from_the_last_act(world: World) -> None:
    first = world.run(world.open("ward_slow_plan"), most=200)
    assert len(world.ward.effects()) == 2
    assert first.phase is Phase.CLOSED
    travel(world.url, 6 * 60)  # 61 min after the first act, six after the last
    world.ward.set("v1", "leaking", True)
    assert world.run(world.open("ward_slow_plan")).ending == "suppressed"


@pytest.mark.parametrize(("waited", "acts"), [(timedelta(minutes=5), False), (timedelta(minutes=61), True)])
def test_a_cooldown_counts_from_the_closing_too(world: World, waited: timedelta, acts: bool) -> None:
    incident = world.run(world.open("ward_cool_failing")).id
    travel(world.url, 2 * 3600)
    world.ledger.command(incident, "close", "ada", "done by hand")
    world.run(incident)
    travel(world.url, waited.total_seconds())
    world.ward.set("v1", "leaking", True)
    world.run(world.open("ward_cool_failing"))
    assert len(world.ward.effects()) == (2 if acts else 1)


def test_a_cooldown_outlives_the_retention(world: World) -> None:
    with_policy(world, retention=timedelta(days=1))
    world.run(world.open("ward_long_cooldown"))
    travel(world.url, 2 * 86400)
    world.engine().tend()
    world.ward.set("v1", "leaking", True)
    world.run(world.open("ward_long_cooldown"))
    assert len(world.ward.effects()) == 1


def test_a_host_of_byteport_whose_process_is_silent_is_still_ours(world: World) -> None:
    world.ledger.register_self("web", ["service:v1"], "")
    travel(world.url, 11 * 60)  # frozen, or cut off from the ledger
    world.run(world.open("ward_one"))
    assert world.ward.effects() == []
    assert world.run(world.open("ward_one", "v2")).ending == "resolved"


def test_a_pause_file_that_cannot_be_looked_at_pauses(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "cannot be looked at" in replace(Policy(), pause_file=loop / "pause").paused_here()
    assert replace(Policy(), pause_file=tmp_path / "none" / "pause").paused_here() == ""
