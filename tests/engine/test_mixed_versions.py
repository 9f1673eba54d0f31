"""Workers with an older and a newer page side by side: every incident ends, and each effect happens once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import pytest

from byteport.grammar.evidence import probe
from byteport.grammar.runbook import Check, Runbook
from byteport.model.target import Target
from byteport.model.units import seconds
from byteport.ports import Readers
from byteport.records.incident import Incident, Phase
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.patient import Gauge, Ward
from tests.ward.world import PowerCut, World, race


@probe(over="meters")
def meter(target: Target, readers: Readers) -> Gauge:
    """The flow, which only the newer page asks for."""
    return Gauge(pressure=pages.ward_of(readers).valve(target.key).value)


class NewerEvidence(pages.WardEvidence):
    """The same with one field more."""

    meter: Annotated[Gauge, meter]

    def measured(self) -> bool:
        """The meter answered."""
        return bool(self.meter.pressure >= 0)


OLDER = pages.ONE
BUMPED = pages.page("ward_one", pages.one, confidence_floor=75)
WIDER = replace(
    pages.ONE,
    evidence=NewerEvidence,
    verify=(
        *pages.ONE.verify,
        Check("measured", NewerEvidence.measured, needs=("meter",), after=seconds(0), within=seconds(0)),
    ),
)
NEWER = [BUMPED, WIDER]


def fleet_with(world: World, page: Runbook) -> World:
    """Workers that have this page, on the same stores and the same ward."""
    return replace(world, pages=(page, *pages.ALL[1:]))


def is_over(incident: Incident) -> bool:
    return incident.phase is Phase.CLOSED or incident.escalated_at is not None


def live_on(fleets: Sequence[World], incidents: Sequence[str], chance: random.Random, most: int = 3000) -> None:
    """Whoever happens to be rung moves on, as the broker would have it; the ledger's time passes meanwhile."""
    for n in range(most):
        fleet, incident = chance.choice(fleets), chance.choice(incidents)
        fleet.step(incident)
        if n % 5 == 0:
            travel(fleet.url, 3)
        if n % 20 == 0:
            for each in fleets:
                each.engine().tend()
            if all(is_over(fleet.now(one)) for one in incidents):
                return


@pytest.mark.parametrize("newer", NEWER, ids=["other page", "one field more"])
@pytest.mark.parametrize("seed", range(2))
def test_older_and_newer_side_by_side_end_every_incident(world: World, newer: Runbook, seed: int) -> None:
    fleets = [fleet_with(world, OLDER), fleet_with(world, newer)]
    chance = random.Random(seed)
    incidents = [chance.choice(fleets).open("ward_one", f"v{n}") for n in range(4)]
    assert {world.now(incident).page for incident in incidents} <= {OLDER.digest, newer.digest}
    live_on(fleets, incidents, chance)
    ended = [world.now(incident) for incident in incidents]
    assert all(is_over(incident) for incident in ended)
    assert world.ward.doubled() == []
    assert [len(world.ward.effects(f"v{n}")) for n in range(4)] == [
        1 if incident.ending == "resolved" else 0 for incident in ended
    ]
    assert any(incident.ending == "resolved" for incident in ended)


def test_both_fleets_at_once_move_each_incident_with_its_own_page(world: World) -> None:
    fleets = [fleet_with(world, OLDER), fleet_with(world, BUMPED)]
    incidents = [fleets[n % 2].open("ward_one", f"v{n}") for n in range(4)]
    pages_before = [world.now(incident).page for incident in incidents]

    def moves(fleet: World) -> None:
        for _ in range(40):
            for incident in incidents:
                fleet.step(incident)
            if fleet is fleets[0]:
                travel(fleet.url, 3)
            if all(is_over(fleet.now(one)) for one in incidents):
                return

    assert race([lambda fleet=fleet: moves(fleet) for fleet in fleets]) == [None, None]
    for _ in range(200):  # in turn, since one may wait for what another holds
        for n, incident in enumerate(incidents):
            if not is_over(fleets[n % 2].now(incident)):
                fleets[n % 2].step(incident)
        travel(world.url, 1)
    ended = [world.now(incident) for incident in incidents]
    assert [incident.page for incident in ended] == pages_before
    assert [incident.ending for incident in ended] == ["resolved"] * 4, [incident.reason for incident in ended]
    assert len(world.ward.effects()) == 4


def test_a_look_for_a_field_that_only_the_newer_page_has_is_left_to_it(world: World) -> None:
    older, newer = fleet_with(world, OLDER), fleet_with(world, WIDER)
    incident = newer.open("ward_one")
    newer.engine().move(incident)
    sent = newer.engine().groups_to_send(incident)
    looked = {group: older.engine().look(incident, n, group).stored for n, group in sent}
    assert looked == {"valves": True, "gauges": True, "meters": False}
    travel(world.url, 16)
    assert newer.engine().groups_to_send(incident) == [(sent[0][0], "meters")]
    assert newer.engine().look(incident, sent[0][0], "meters").completes_the_round
    assert newer.run(incident).ending == "resolved"


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.CLASSIFY, Phase.PLAN, Phase.ACT])
def test_after_a_minute_without_its_page_an_incident_is_diagnosed_anew(world: World, phase: Phase) -> None:
    older, newer = fleet_with(world, OLDER), fleet_with(world, BUMPED)
    incident = older.open("ward_one")
    if phase is not Phase.OPEN:
        older.run(incident, until=phase)
    travel(world.url, 50)
    newer.engine().tend()
    newer.step(incident)
    assert (newer.now(incident).page, newer.now(incident).phase) == (OLDER.digest, phase), "not within the minute"
    travel(world.url, 100)
    newer.engine().tend()
    assert (newer.now(incident).page, newer.now(incident).phase) == (BUMPED.digest, Phase.OPEN)
    assert newer.run(incident).ending == "resolved"
    assert len(world.ward.effects()) == 1


class Fatal(Ward):
    """Whoever changes a valve dies of it before hearing the answer."""

    def change(self, name: str, kind: str, intent: str, to: int | None, was: int | None) -> None:
        super().change(name, kind, intent, to, was)
        raise PowerCut


def test_what_an_older_worker_had_begun_is_settled_and_escalated_never_repeated(world: World) -> None:
    older, newer = fleet_with(world, OLDER), fleet_with(world, BUMPED)
    incident = older.open("ward_one")
    older.run(incident, until=Phase.ACT)
    with pytest.raises(PowerCut):
        replace(older, ward=Fatal(world.ward.url)).run(incident)
    travel(world.url, 150)
    newer.engine().tend()
    ended = newer.run(incident)
    assert ended.phase is Phase.ESCALATE
    assert "no worker has page" in ended.reason
    (intent,) = newer.ledger.intents_of(incident)
    assert intent.outcome is not None
    assert intent.outcome.outcome == "done"
    assert len(world.ward.effects()) == 1
    assert len(world.notebook.sent) == 1
