"""Why not, and what would change it, of incidents that a real engine decided on real stores; each comes true."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import pytest

from byteport.errors import Permanent
from byteport.grammar.evidence import probe
from byteport.grammar.runbook import OnSignal
from byteport.model.signal import Mode
from byteport.model.target import Target
from byteport.ports import Readers
from byteport.records.incident import Phase
from byteport.records.standing import NewVeto
from byteport.shown.lifting import Change
from byteport.shown.nearest import nearest
from byteport.shown.outlook import outlook_of
from byteport.shown.record import fetch
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.asking import flush, with_policy
from tests.ward.patient import Gauge, Valve
from tests.ward.world import World


@probe(over="gauges")
def broken_gauge(target: Target, readers: Readers) -> Gauge:
    """A gauge that nobody can read."""
    raise Permanent("the gauge is gone")


class Gaugeless(pages.WardEvidence):
    """The same valve, behind a gauge that is gone."""

    valve: Annotated[Valve, pages.valve_state]
    gauge: Annotated[Gauge, broken_gauge]


GAUGELESS = replace(pages.ONE, name="ward_gaugeless", signals=(OnSignal("ward_gaugeless"),), evidence=Gaugeless)


def changes(world: World, incident: str) -> tuple[Change, ...]:
    found, engine = fetch(world.ledger, incident), world.engine()
    assert found is not None
    return nearest(found, outlook_of(found, world.ledger, engine.pages, world.policy))


def told(world: World, incident: str) -> str:
    (only,) = changes(world, incident)
    return only.text


def leak(world: World) -> bool:
    world.ward.prepare("v1", leaking=True, value=0)
    return True


def leaks_again(world: World, runbook: str, after: timedelta = timedelta(minutes=11)) -> str:
    """It was treated once; by now it leaks again, past the page's cooldown."""
    assert world.run(world.open(runbook)).ending == "resolved"
    travel(world.url, after.total_seconds())
    world.ward.set("v1", "leaking", True)
    return world.run(world.open(runbook)).id


def test_a_spent_budget_says_when_it_frees_and_then_it_acts(world: World) -> None:
    incident = leaks_again(world, "ward_limited")
    (change,) = changes(world, incident)
    assert re.fullmatch(
        r"may act again in 23 h 4[89] min( \d+ s)?, when turns:valve:v1 frees at .* UTC, 1 of 1 used", change.text
    )
    assert change.seconds_left is not None
    travel(world.url, change.seconds_left + 1)
    flush(world.redis_url)  # whose own clock stood still meanwhile
    assert told(world, incident).startswith("may act now: turns_a_day stood in the way until")
    world.ledger.command(incident, "close", "ada", "seen")
    world.run(incident)
    assert world.run(world.open("ward_limited")).ending == "resolved"


def test_a_cooldown_says_when_it_ends(world: World) -> None:
    incident = leaks_again(world, "ward_cooling")
    assert re.match(r"may act again in 4[89] min( \d+ s)?, when the cooldown of ward_cooling", told(world, incident))


def test_the_first_day_says_when_the_next_hour_begins(world: World) -> None:
    with_policy(world, first_day_rate=1)
    world.run(world.open("ward_one", "v1"))
    text = told(world, world.run(world.open("ward_one", "v2")).id)
    assert re.match(r"may act again in (1 h|59 min \d+ s), when first_day:ward_one frees", text)


def test_ten_writes_to_one_server_say_when_the_eleventh_may_be(world: World) -> None:
    spent = [world.run(world.open_by_hand("ward_one")).ending for _ in range(10) if leak(world)]
    assert spent == ["resolved"] * 10
    leak(world)
    text = told(world, world.run(world.open_by_hand("ward_one")).id)
    assert re.match(r"may act again in (9 min( \d+ s)?|8 min \d+ s), when global_writes:ward-v1 frees", text)


def test_a_pause_names_who_must_resume_it_and_then_it_acts(world: World) -> None:
    world.ledger.pause("", "deploy freeze", "ada")
    incident = world.run(world.open("ward_one")).id
    assert told(world, incident) == "may act when the pause by ada is resumed"
    world.ledger.resume("", "ada")
    world.ledger.command(incident, "close", "ada", "seen")
    world.run(incident)
    assert world.run(world.open("ward_one")).ending == "resolved"


def test_a_silence_and_a_veto_say_when_they_end(world: World) -> None:
    world.ledger.silence({"target": "v1"}, timedelta(hours=2), "planned work", "ada")
    assert "when the silence ends at" in told(world, world.run(world.open("ward_one")).id)
    world.ledger.veto(NewVeto(runbook="ward_one", target_key="v2", why="turned back by hand"))
    text = told(world, world.run(world.open("ward_one", "v2")).id)
    assert re.match(r"may act again in (1 d|23 h 59 min \d+ s), when the veto ends at", text)


def test_a_target_that_is_not_opted_in_says_with_what_and_then_it_acts(world: World) -> None:
    incident = world.run(world.open("ward_opting")).id
    wanted = "byteport.io/auto-remediate: valve"
    assert told(world, incident) == f"may act once the target is opted in with {wanted}"
    with_policy(world, annotations=lambda _target: dict([wanted.split(": ")]))
    world.ledger.command(incident, "close", "ada", "seen")
    world.run(incident)
    assert world.run(world.open("ward_opting")).ending == "resolved"


def test_a_held_lock_names_the_incident_that_must_let_go(world: World) -> None:
    other, incident = world.open("ward_failing"), world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.run(other, until=Phase.VERIFY)
    world.step(incident)
    assert told(world, incident) == f"may act when incident {other} lets go of service:v1"
    world.run(other)
    world.ward.set("v1", "leaking", True)
    assert world.run(incident).ending == "resolved"


def test_below_the_floor_names_what_was_missing(world: World) -> None:
    with_policy(world, floors={"ward_gaugeless": 80})
    world.pages = (GAUGELESS,)
    incident = world.run(world.open("ward_gaugeless")).id
    assert told(world, incident) == (
        "would have acted if confidence were 0.80 instead of 0.75; it lost 0.15 as gauge is missing "
        "(unreachable: the gauge is gone), without that it is 0.90"
    )


def test_a_probe_that_did_not_answer_is_named_with_its_failure(world: World) -> None:
    incident = world.open("ward_one")
    world.ward.set("v1", "broken", True)
    world.run(incident)
    assert told(world, incident) == (
        "would have acted had valve_state answered (unreachable: valve 'v1' does not answer) and leak held"
    )


def test_where_no_rule_held_the_nearest_is_named(world: World) -> None:
    incident = world.open("ward_one")
    world.ward.set("v1", "leaking", False)
    world.run(incident)
    assert told(world, incident) == "would have acted if leak had held (0.90); it lacked only: The valve leaks"


@pytest.mark.parametrize("switch", [True, False])
def test_a_rehearsal_says_how_many_steps_would_pass_and_what_forbids(world: World, switch: bool) -> None:
    if switch:
        with_policy(world, runbook_dry_run=True)
    incident = world.run(world.open("ward_stepwise", mode=Mode.DRY_RUN)).id
    forbids = " and BYTEPORT_RUNBOOK_DRY_RUN=true no longer forbids it" if switch else ""
    wanted = f"acts once ward_stepwise is promoted to live{forbids}; 4 of 4 steps would have been allowed"
    assert told(world, incident) == wanted


def test_a_plan_waits_for_a_word_and_then_for_none(world: World) -> None:
    incident = world.run(world.open("ward_one", mode=Mode.APPROVE)).id
    assert told(world, incident).startswith(
        f"acts when somebody approves the plan: byteport incidents approve {incident}"
    )
    travel(world.url, timedelta(minutes=31).total_seconds())
    world.run(incident)
    assert told(world, incident) == "would have acted had somebody approved the plan in time"


def test_a_ceiling_of_one_incident_says_that_nothing_lifts_it(world: World) -> None:
    text = told(world, world.run(world.open("ward_ceiled")).id)
    assert text == "nothing: this incident has used up per_incident (1 of 1); only another one counts anew"


def test_what_acted_needs_nothing(world: World) -> None:
    assert changes(world, world.run(world.open("ward_one")).id) == ()
