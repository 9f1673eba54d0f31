"""What decided stands in the journal as values: who said what, with which figures, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from byteport.model.signal import Mode, Severity
from byteport.testing.time_travel import travel
from tests.ward.asking import with_policy
from tests.ward.breaking import Gone
from tests.ward.world import World


def said(world: World, incident: str, kind: str = "verdict") -> list[dict[str, Any]]:
    return [event.data for event in world.ledger.events(incident) if event.kind == kind]


def test_a_refusal_by_a_budget_carries_what_every_other_guard_said(world: World) -> None:
    world.run(world.open("ward_limited"))
    travel(world.url, 3600)
    world.ward.set("v1", "leaking", True)
    incident = world.run(world.open("ward_limited"))
    (refusal,) = said(world, incident.id)
    told = {verdict["guard"]: verdict for verdict in refusal["verdicts"]}
    assert {"pause", "silence", "target_lock", "global_writes", "turns_a_day"} <= told.keys()
    assert len(told) == len(refusal["verdicts"])
    assert [name for name, verdict in told.items() if not verdict["allowed"]] == ["turns_a_day"]
    assert told["turns_a_day"]["counter"] == "turns:valve:v1"
    assert told["global_writes"]["limit"] == "10"


def test_a_rehearsal_counts_what_is_used_of_each_budget_and_the_steps_before(world: World) -> None:
    incident = world.run(world.open("ward_stepwise", mode=Mode.DRY_RUN))
    wide = [v for step in said(world, incident.id, "rehearsal") for v in step["verdicts"] if v["guard"] == "wide"]
    assert [(v["current"], v["limit"]) for v in wide] == [("0", "1000"), ("1", "1000"), ("2", "1000"), ("3", "1000")]
    assert wide[0]["reason"].startswith("0 of 1000 used on ward_stepwise.wide:valve:v1")


def test_a_rehearsal_without_the_budgets_store_says_so(world: World) -> None:
    world.budgets = Gone()
    incident = world.run(world.open("ward_one", mode=Mode.DRY_RUN))
    (step,) = said(world, incident.id, "rehearsal")
    refused = [v for v in step["verdicts"] if not v["allowed"]]
    assert [(v["guard"], v["lifts"]) for v in refused] == [("budgets_store", "once the budgets store answers")]


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.CRITICAL])
def test_a_cooldown_is_a_verdict_that_frees(world: World, severity: Severity) -> None:
    world.run(world.open("ward_cooling"))
    world.ward.set("v1", "leaking", True)
    incident = world.run(world.open("ward_cooling", severity=severity))
    (verdict,) = world.verdicts(incident.id)
    assert (verdict["guard"], verdict["kind"], verdict["allowed"]) == ("runbook_cooldown", "cooldown", False)
    left = datetime.fromisoformat(verdict["frees_at"]) - world.ledger.now()
    assert timedelta(minutes=58) < left < timedelta(hours=1)


def test_a_silence_is_a_verdict_with_its_end(world: World) -> None:
    world.ledger.silence({"target": "v1"}, timedelta(hours=2), "planned work", "ada")
    (verdict,) = world.verdicts(world.run(world.open("ward_one")).id)
    assert (verdict["guard"], verdict["lifts"]) == ("silence", "when the silence ends")
    assert datetime.fromisoformat(verdict["frees_at"]) - world.ledger.now() > timedelta(hours=1)


def test_a_maintenance_window_has_no_end_that_is_known(world: World) -> None:
    with_policy(world, maintenance=lambda *_asked: "sundays")
    (verdict,) = world.verdicts(world.run(world.open("ward_one")).id)
    assert (verdict["frees_at"], verdict["lifts"]) == (None, "when the maintenance window ends")


def test_a_diagnosis_keeps_the_floor_that_it_was_held_against(world: World) -> None:
    with_policy(world, floors={"ward_one": 91})
    (diagnosis,) = said(world, world.run(world.open("ward_one")).id, "diagnosis")
    assert (diagnosis["confidence"], diagnosis["floor"]) == (90, 91)


def test_a_storm_says_when_it_can_be_over(world: World) -> None:
    with_policy(world, storm_threshold=20)
    incidents = [world.open("ward_one", f"v{n}") for n in range(22)]
    (verdict,) = world.verdicts(world.run(incidents[0]).id)
    assert verdict["guard"] == "storm_breaker"
    assert datetime.fromisoformat(verdict["frees_at"]) - world.ledger.now() > timedelta(minutes=5)
