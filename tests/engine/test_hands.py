"""Who may act, and until when: processes that stood still, acting workers that are all away, what nobody looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from byteport.grammar.plan import EndIf, Look, Pause, Plan, Undo
from byteport.model.units import minutes, seconds
from byteport.records.change import Lease, since_boot
from byteport.records.incident import Incident, Phase
from byteport.testing.time_travel import travel
from tests.engine import stubborn
from tests.ward import pages
from tests.ward.breaking import OWING, Between
from tests.ward.world import PowerCut, World


@dataclass
class StoodStill:
    """A ledger whose claims reach their process only after it stood still for so long."""

    ledger: Any
    seconds: float

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    def claim(self, *asked: Any) -> tuple[Incident, Lease] | None:
        claimed = self.ledger.claim(*asked)
        if claimed is None:
            return None
        incident, lease = claimed
        return incident, lease.model_copy(update={"asked_at": since_boot() - self.seconds})


def reads_more_than_it_names(wait: float) -> Callable[[Any], Plan]:
    def plan(e: Any) -> Plan:
        look = Look(fields=("valve",))
        return Plan(
            steps=(Pause(length=seconds(wait)), look, EndIf(check="pressure_known", end="partial")), end="partial"
        )

    return plan


def two_valves(e: Any) -> Plan:
    steps = []
    for name in (pages.key(e), "v2"):
        back = Undo(action=pages.SetValve(name=name, was=7, to=0), by=minutes(10))
        steps.append(pages.SET(undo=back, name=name, was=0, to=7))
    return Plan(steps=tuple(steps))


def nosy(name: str, wait: float) -> Any:
    page = pages.page(name, reads_more_than_it_names(wait))
    return replace(page, checks={**page.checks, "pressure_known": ("valve",)})


TWO_VALVES = pages.page("ward_two_valves", two_valves, verify=pages.NEVER_WELL)
MORE = (*pages.ALL, *stubborn.ALL, OWING, TWO_VALVES, nosy("ward_nosy", 180), nosy("ward_nosy_soon", 1))


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = MORE


def cut() -> None:
    raise PowerCut


def told(world: World) -> list[str]:
    world.engine().deliver_due()
    return [sent.message.text for sent in world.notebook.sent if sent.message.kind == "escalation"]


def stand_still(world: World, incident: str, length: float) -> None:
    """Takes its locks, and comes to the effect of its first step so late."""
    ledger, world.ledger = world.ledger, StoodStill(world.ledger, length)
    for _ in range(3):
        world.step(incident)
    world.ledger = ledger


def unattended(world: World, incident: str, after: float) -> bool:
    """Whether it is found so after so many seconds of a sweeper that rings every ten."""
    found, passed = False, 0.0
    world.engine().wake_due()
    while passed < after:
        travel(world.url, step := min(10.1, after - passed))
        passed += step
        found = any(due.incident == incident and due.unattended for due in world.engine().wake_due()) or found
    return found


# -- processes that stood still --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("stood", "acts"), [(39, False), (1, True)])
@pytest.mark.parametrize("runbook", ["ward_one", "ward_undoing"])
def test_who_stood_still_between_the_attempt_and_the_effect_does_not_go_on(
    world: World, runbook: str, stood: float, acts: bool
) -> None:
    """One that is not idempotent, and one that is."""
    incident = world.open(runbook)
    world.run(incident, until=Phase.ACT)
    stand_still(world, incident, stood)
    assert bool(world.ward.effects("v1")) is acts
    (intent,) = world.ledger.intents_of(incident)
    assert intent.attempts == 1


def test_what_may_be_repeated_is_done_once_by_who_comes_next(world: World) -> None:
    incident = world.open("ward_undoing")
    world.run(incident, until=Phase.ACT)
    stand_still(world, incident, 39)
    world.run(incident)
    assert [row["kind"] for row in world.ward.effects("v1")][:1] == ["set"]
    assert [intent.attempts for intent in world.ledger.intents_of(incident) if intent.direction == "do"] == [2]


def test_what_may_not_be_repeated_is_told_as_unknown(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    stand_still(world, incident, 39)
    assert world.run(incident).phase is Phase.ESCALATE
    assert world.ward.effects("v1") == []
    assert "begun, effect never seen" in told(world)[0]


# -- acting workers that are all away --------------------------------------------------------------------------------
@pytest.mark.parametrize(("waited", "heard"), [(45, False), (75, True)])
def test_people_hear_of_what_is_owed_although_no_acting_worker_lives(world: World, waited: float, heard: bool) -> None:
    incident = world.open("ward_owing")
    world.run(incident, until=Phase.ESCALATE)
    world.has_hands = False
    world.step(incident)
    assert world.now(incident).wants_hands
    assert unattended(world, incident, waited) is heard
    if not heard:
        return
    world.engine().stand_in(incident)
    (text,) = told(world)
    assert "no acting worker takes it up" in text
    for _ in range(5):
        travel(world.url, 61)
        world.engine().stand_in(incident)
    assert len(told(world)) == 1
    world.has_hands = True
    world.run(incident, most=5)
    assert world.ward.effects("v1")


@pytest.mark.parametrize(("waited", "heard"), [(4 * 60, False), (5 * 60 + 15, True)])
def test_people_hear_of_what_is_to_be_done_although_no_acting_worker_lives(
    world: World, waited: float, heard: bool
) -> None:
    incident = world.open("ward_one")
    world.has_hands = False
    world.run(incident, until=Phase.ACT)
    assert unattended(world, incident, waited) is heard
    if heard:
        world.engine().stand_in(incident)
        world.run(incident)
        assert "no acting worker has taken it up" in told(world)[0]
        world.has_hands = True
        assert world.run(incident).phase is Phase.ESCALATE
    else:
        world.has_hands = True
        assert world.run(incident).ending == "resolved"
    assert bool(world.ward.effects("v1")) is not heard


def test_who_is_only_busy_or_was_away_with_everybody_is_not_taken_for_dead(world: World) -> None:
    incident = world.open("ward_one")
    world.has_hands = False
    world.run(incident, until=Phase.ACT)
    travel(world.url, 3600)  # nobody swept for an hour: an upgrade, an outage of the ledger
    (due,) = world.engine().wake_due()
    assert not due.unattended
    for _ in range(40):
        world.ledger.register_self("host-a:7:act", [], "")
        travel(world.url, 10.1)
        assert not any(due.unattended for due in world.engine().wake_due())
    assert unattended(world, incident, 60)  # it was rung for all along, and is not heard of any more


@pytest.mark.parametrize("told_early", [True, False])
def test_what_recovered_before_it_was_settled_closes_whether_people_heard_meanwhile_or_not(
    world: World, told_early: bool
) -> None:
    """Its worker died before it could say that it was so already; then the condition was over."""
    world.ward.prepare("v2")
    incident = world.open("ward_two_valves")
    world.run(incident, until=Phase.ACT)
    world.step(incident)
    for valve in ("v1", "v2"):
        world.ward.set(valve, "value", 7)
    ledger, world.ledger = world.ledger, Between(world.ledger, "settle", cut)
    with pytest.raises(PowerCut):
        world.run(incident)
    world.ledger = ledger
    (intent,) = ledger.intents_of(incident)
    assert (intent.attempts, intent.outcome) == (0, None)
    world.ward.set("v1", "leaking", False)
    travel(world.url, 41)
    world.run(incident, until=Phase.WRITE_UP)
    assert world.now(incident).ending == "recovered"
    if told_early:
        world.has_hands = False
        world.step(incident)
        assert unattended(world, incident, 75)
        world.engine().stand_in(incident)
        assert len(told(world)) == 1
        world.has_hands = True
    for _ in range(6):
        travel(world.url, 61)
        world.step(incident)
    assert (world.now(incident).phase, world.now(incident).ending) == (Phase.CLOSED, "recovered")
    assert world.ward.effects() == []


def test_the_story_has_the_lines_that_its_own_move_adds(world: World) -> None:
    """What was read with the claim is read anew where something is settled on the way."""
    world.ward.prepare("v2")
    incident = world.open("ward_two_valves")
    world.run(incident, until=Phase.ACT)
    world.step(incident)
    for valve in ("v1", "v2"):
        world.ward.set(valve, "value", 7)
    ledger, world.ledger = world.ledger, Between(world.ledger, "settle", cut)
    with pytest.raises(PowerCut):
        world.run(incident)
    world.ledger = ledger
    ledger.command(incident, "close", "ada", "enough")
    travel(world.url, 41)
    world.together = True
    assert world.run(incident).phase is Phase.CLOSED
    story = ledger.postmortem(incident)
    assert story is not None
    assert "settled" in [line["kind"] for line in story.record["timeline"]]


# -- undos that take long --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("stood", "at_once"), [(30, 1), (0, 2)])
def test_undos_that_do_not_fit_into_one_claim_are_spread_over_several(world: World, stood: float, at_once: int) -> None:
    world.ward.prepare("v2")
    incident = world.open("ward_two_valves")
    world.run(incident, until=Phase.ESCALATE)
    ledger, world.ledger = world.ledger, StoodStill(world.ledger, stood)
    left = len(ledger.owed(incident))
    assert left == 2
    while len(ledger.owed(incident)) == left:
        world.step(incident)
    assert left - len(ledger.owed(incident)) == at_once
    for _ in range(4):
        travel(world.url, 31)
        world.step(incident)
    world.ledger = ledger
    assert ledger.owed(incident) == []
    assert [world.ward.valve(name).value for name in ("v1", "v2")] == [0, 0]
    assert len(told(world)) == 1


# -- what nobody looked at -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("runbook", "ending"), [("ward_nosy", ""), ("ward_nosy_soon", "partially_resolved")])
def test_a_check_that_reads_what_it_does_not_name_is_unknown_once_that_is_old(
    world: World, runbook: str, ending: str
) -> None:
    incident = world.run(world.open(runbook))
    assert incident.ending == ending
    if not ending:
        assert "gauge: too old, and not named by the check" in incident.reason
