"""Nothing is written, and why; each with the twin where one input differs and the act happens."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from byteport.engine.drive import exit_code
from byteport.errors import BadInput
from byteport.model.signal import Mode, Severity
from byteport.records.change import LockWanted
from byteport.records.incident import Phase
from byteport.records.standing import NewVeto
from byteport.testing.time_travel import travel
from tests.ward.asking import refused_by, with_policy
from tests.ward.world import World


@pytest.mark.parametrize("paused", [True, False])
def test_a_pause_blocks_and_says_who_and_why(world: World, paused: bool) -> None:
    if paused:
        world.ledger.pause("", "deploy freeze", "ada")
    incident = world.run(world.open("ward_one"))
    assert bool(world.ward.effects()) is not paused
    assert ("ada: deploy freeze" in incident.reason) is paused
    if paused:
        assert exit_code(incident) == 4


def test_a_pause_of_another_runbook_blocks_nothing(world: World) -> None:
    world.ledger.pause("ward_several", "broken", "ada")
    assert world.run(world.open("ward_one")).ending == "resolved"


def test_a_resumed_fleet_acts_again(world: World) -> None:
    world.ledger.pause("", "freeze", "ada")
    world.ledger.resume("", "ada")
    assert world.run(world.open("ward_one")).ending == "resolved"


@pytest.mark.parametrize("there", [True, False])
def test_the_pause_file_of_a_host_blocks(world: World, tmp_path: Path, there: bool) -> None:
    switch = tmp_path / "pause"
    if there:
        switch.touch()
    with_policy(world, pause_file=switch)
    world.run(world.open("ward_one"))
    assert bool(world.ward.effects()) is not there


@pytest.mark.parametrize("switch", [True, False])
def test_a_switch_to_dry_run_during_a_run_is_a_refusal(world: World, switch: bool) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    if switch:
        with_policy(world, runbook_dry_run=True)
    world.run(incident)
    assert bool(world.ward.effects()) is not switch
    assert refused_by(world, incident) == (["dry_run"] if switch else [])


@pytest.mark.parametrize(
    ("switches", "acts"),
    [
        ({}, True),
        ({"mode": Mode.LIVE}, True),
        ({"runbook_dry_run": False}, True),
        ({"runbook_dry_run": True}, False),
        ({"mode": Mode.DRY_RUN}, False),
        ({"file_modes": {"ward_one": Mode.DRY_RUN}}, False),
        ({"file_modes": {"ward_several": Mode.DRY_RUN}}, True),
    ],
)
def test_an_explicit_switch_beats_a_promotion(world: World, switches: dict[str, Any], acts: bool) -> None:
    with_policy(world, **switches)
    incident = world.run(world.open("ward_one"))
    assert bool(world.ward.effects()) is acts
    assert incident.ending == ("resolved" if acts else "rehearsed")


@pytest.mark.parametrize(
    ("switches", "named"),
    [
        ({"runbook_dry_run": True}, "BYTEPORT_RUNBOOK_DRY_RUN"),
        ({"mode": Mode.DRY_RUN}, "mode: dry_run"),
        ({"pause_process": True}, "BYTEPORT_PAUSE"),
    ],
)
def test_a_persons_live_run_is_refused_by_name(world: World, switches: dict[str, Any], named: str) -> None:
    with_policy(world, **switches)
    with pytest.raises(BadInput, match=named):
        world.open_by_hand("ward_one")
    assert world.ward.effects() == []


def test_a_persons_live_run_needs_no_promotion(world: World) -> None:
    assert world.run(world.open_by_hand("ward_one")).ending == "resolved"
    assert len(world.ward.effects()) == 1


@pytest.mark.parametrize(
    ("annotations", "acts", "guard"),
    [
        ({"byteport.io/auto-remediate": "disk, valve"}, True, None),
        ({"byteport.io/auto_remediate": "valve"}, True, None),
        ({"byteport.io/auto-remediate": "valve", "byteport.io/auto_remediate": "disk"}, False, "opted_in"),
        ({"byteport.io/auto-remediate": "VALVE"}, False, "opted_in"),
        ({"byteport.io/auto-remediate": ""}, False, "opted_in"),
        ({}, False, "opted_in"),
        ({"byteport.io/auto-remediate": "valve", "byteport.io/skip": "true"}, False, "skip"),
        (None, False, "skip"),
    ],
)
def test_opt_in_and_opt_out(world: World, annotations: dict[str, str] | None, acts: bool, guard: str | None) -> None:
    with_policy(world, annotations=lambda _target: annotations)
    incident = world.run(world.open("ward_opting"))
    assert bool(world.ward.effects()) is acts
    assert refused_by(world, incident.id) == ([guard] if guard else [])


def test_an_opt_out_closes_as_suppressed(world: World) -> None:
    with_policy(world, annotations=lambda _t: {"byteport.io/auto-remediate": "valve", "byteport.io/skip": "true"})
    assert world.run(world.open("ward_opting")).ending == "suppressed"
    assert world.notebook.sent == []


@pytest.mark.parametrize("lost", [True, False])
def test_confidence_below_the_floor_changes_nothing(world: World, lost: bool) -> None:
    if lost:
        with_policy(world, floors={"ward_one": 91})
    incident = world.run(world.open("ward_one"))
    assert bool(world.ward.effects()) is not lost
    assert ("below the floor 0.91" in incident.reason) is lost
    if lost:
        assert exit_code(incident) == 3


@pytest.mark.parametrize("silenced", [True, False])
def test_a_silence_stops_acting_and_not_looking(world: World, silenced: bool) -> None:
    if silenced:
        world.ledger.silence({"target": "v1"}, timedelta(hours=1), "planned work", "ada")
    incident = world.run(world.open("ward_one"))
    assert incident.diagnosis is not None
    assert bool(world.ward.effects()) is not silenced
    assert incident.ending == ("suppressed" if silenced else "resolved")


def test_a_critical_signal_under_a_silence_goes_to_a_person(world: World) -> None:
    world.ledger.silence({"target": "v1"}, timedelta(hours=1), "planned work", "ada")
    incident = world.run(world.open("ward_one", severity=Severity.CRITICAL))
    assert incident.phase is Phase.ESCALATE
    assert world.ward.effects() == []


@pytest.mark.parametrize("vetoed", [True, False])
def test_a_persons_undo_is_a_veto_for_a_day(world: World, vetoed: bool) -> None:
    if vetoed:
        world.ledger.veto(NewVeto(runbook="ward_one", target_key="v1", why="turned back by hand"))
    incident = world.run(world.open("ward_one"))
    assert bool(world.ward.effects()) is not vetoed
    assert refused_by(world, incident.id) == (["human_veto"] if vetoed else [])


@pytest.mark.parametrize("ours", ["service:v1", "valve:v1", "host:a", None])
def test_never_on_what_hosts_byteport(world: World, ours: str | None) -> None:
    if ours:
        world.ledger.register_self("p1", [ours], "")
    incident = world.run(world.open("ward_one", within=("host:a",)))
    assert bool(world.ward.effects()) is (ours is None)
    assert refused_by(world, incident.id) == (["self_targets"] if ours else [])


@pytest.mark.parametrize("theirs", ["one", "another"])
def test_workers_with_different_configurations_do_not_act(world: World, theirs: str) -> None:
    with_policy(world, configuration="one")
    world.ledger.register_self("p1", [], "one")
    world.ledger.register_self("p2", [], theirs)
    incident = world.run(world.open("ward_one"))
    assert bool(world.ward.effects()) is (theirs == "one")
    assert refused_by(world, incident.id) == ([] if theirs == "one" else ["one_configuration"])


@pytest.mark.parametrize("held", [True, False])
def test_one_target_one_hand(world: World, held: bool) -> None:
    incident = world.open("ward_one")
    other = world.open("ward_several", "v1")
    if held:
        world.run(other, until=Phase.ACT)
        claimed = world.ledger.claim(other, world.engine().pages.digests)
        assert claimed is not None
        assert world.ledger.take_locks(claimed[1], [LockWanted(key="service:v1")]) is None
        keep = claimed[1]
    for _ in range(40):
        world.step(incident)
        if held:
            keep = world.ledger.renew(keep)
        if world.now(incident).phase in (Phase.ESCALATE, Phase.CLOSED):
            break
        travel(world.url, 15)
    assert bool(world.ward.effects("v1")) is not held
    if held:
        assert "held by" in world.now(incident).reason
