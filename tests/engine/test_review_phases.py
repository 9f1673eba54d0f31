"""Every phase under a person's word, a signal, a lost worker and a missing hand: nothing rests for ever, nothing runs hot."""

from __future__ import annotations

import pytest

from byteport.errors import OutOfTime, Permanent
from byteport.grammar.action import Effect, Marked
from byteport.grammar.plan import Plan
from byteport.grammar.runbook import Check, Move
from byteport.model.signal import Severity
from byteport.model.units import seconds
from byteport.ports import Writers
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.breaking import BACK, OWING, Between, sql
from tests.ward.world import World

BEFORE_REST = [Phase.OPEN, Phase.PROBE, Phase.CLASSIFY, Phase.PLAN, Phase.ACT, Phase.VERIFY, Phase.ESCALATE]


class Slow(pages.Pulse):
    """Its first attempt is cut short by this process's own time limit, after the effect."""

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        super().apply(writers, intent)
        raise OutOfTime("this task's soft time limit was reached")


SLOW = Move("slow", Slow, pages.WIDE)
LATE = pages.page("ward_late", lambda e: Plan(steps=(SLOW(name=pages.key(e)),)), moves=(SLOW,))
STEADY = pages.page(
    "ward_steady", pages.one,
    verify=(Check("dry", pages.WardEvidence.dry, needs=("valve",), every=seconds(15), steady=seconds(60)),),
)  # fmt: skip
MORE = (*pages.ALL, LATE, STEADY, BACK, OWING)


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = MORE


def brought_to(world: World, phase: Phase, runbook: str = "ward_failing") -> str:
    incident = world.open(runbook)
    if phase is not Phase.OPEN:
        world.run(incident, until=phase)
    assert world.now(incident).phase is phase
    return incident


@pytest.mark.parametrize("word", ["cancel", "close"])
@pytest.mark.parametrize("phase", BEFORE_REST)
def test_a_person_may_end_it_in_every_phase(world: World, phase: Phase, word: str) -> None:
    incident = brought_to(world, phase)
    done = len(world.ward.effects())
    world.ledger.command(incident, word, "ada", "enough")
    ended = world.run(incident)
    assert (ended.phase, ended.ending) == (Phase.CLOSED, "cancelled" if word == "cancel" else "closed")
    assert len(world.ward.effects()) == done
    assert world.ledger.held_locks() == []
    assert world.ledger.postmortem(incident).record["reason"].endswith("by ada: enough")


@pytest.mark.parametrize("phase", BEFORE_REST)
def test_a_persons_word_that_comes_while_a_move_is_made_is_not_lost(world: World, phase: Phase) -> None:
    incident = brought_to(world, phase)
    ledger = world.ledger
    world.ledger = Between(ledger, "save", lambda: ledger.command(incident, "close", "ada", "enough"))
    if phase is Phase.ESCALATE:
        ledger.command(incident, "ack", "ada", "seen")
    world.step(incident)
    world.ledger = ledger
    assert world.run(incident, most=30).ending == "closed"


@pytest.mark.parametrize("phase", [*BEFORE_REST, Phase.WRITE_UP])
def test_a_signal_in_any_phase_is_absorbed_and_changes_no_course(world: World, phase: Phase) -> None:
    incident = brought_to(world, phase, "ward_one" if phase is not Phase.ESCALATE else "ward_failing")
    admission = world.engine().take(world.signal(world.now(incident).runbook, severity=Severity.CRITICAL))
    assert admission is not None
    assert admission.incident == incident
    ended = world.run(incident)
    assert (ended.ending == "resolved") is (phase is not Phase.ESCALATE)
    assert len(world.ward.effects()) == 1
    assert ended.signals_seen == 2


@pytest.mark.parametrize("again", [True, False])
def test_what_comes_back_before_it_is_closed_is_looked_at_again(world: World, again: bool) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.WRITE_UP)
    if again:
        world.ward.set("v1", "leaking", True)
        world.engine().take(world.signal("ward_one"))
    ended = world.run(incident)
    assert ended.phase is (Phase.ESCALATE if again else Phase.CLOSED)
    assert len(world.ward.effects()) == 1


def test_a_signal_between_the_closing_move_and_its_save_is_looked_at(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.WRITE_UP)

    def leaks_again() -> None:
        world.ward.set("v1", "leaking", True)
        world.engine().take(world.signal("ward_one"))

    ledger, world.ledger = world.ledger, Between(world.ledger, "save", leaks_again)
    world.step(incident)
    world.ledger = ledger
    assert world.run(incident).phase is Phase.ESCALATE


def test_what_had_recovered_and_comes_back_before_it_is_closed_is_diagnosed_anew(world: World) -> None:
    incident = brought_to(world, Phase.ACT, "ward_one")
    world.ward.set("v1", "leaking", False)
    travel(world.url, 31)
    world.run(incident, until=Phase.WRITE_UP)
    assert world.now(incident).ending == "recovered"
    world.ward.set("v1", "leaking", True)
    world.engine().take(world.signal("ward_one"))
    assert world.run(incident).ending == "resolved"
    assert len(world.ward.effects()) == 1


def test_an_escalated_one_that_comes_back_while_it_closes_stays_with_people(world: World) -> None:
    world.ward.prepare("v1", stuck=True)
    incident = world.run(world.open("ward_one")).id
    world.engine().take(world.signal("ward_one", resolved=True))
    travel(world.url, 601)
    world.step(incident)
    assert world.now(incident).phase is Phase.WRITE_UP
    world.engine().take(world.signal("ward_one"))
    assert world.run(incident).phase is Phase.ESCALATE
    assert len(world.notebook.sent) == 1


def test_a_check_that_must_hold_for_a_minute_is_watched_for_a_minute(world: World) -> None:
    incident = world.open("ward_steady")
    world.run(incident, until=Phase.VERIFY)
    began = sql(world, "select byteport.clock()")[0][0]
    assert world.run(incident).ending == "resolved"
    assert seconds(60) <= sql(world, "select byteport.clock()")[0][0] - began < seconds(120)
    assert len([line for line in world.texts(incident, "look") if line == "verification"]) <= 6


def test_a_check_that_breaks_before_its_minute_is_over_escalates(world: World) -> None:
    incident = world.open("ward_steady")
    world.run(incident, until=Phase.VERIFY)
    for _ in range(4):
        world.step(incident)
    world.ward.set("v1", "leaking", True)
    ended = world.run(incident)
    assert ended.phase is Phase.ESCALATE
    assert "dry" in ended.reason


def test_a_ledger_that_refuses_a_move_for_good_brings_a_person(world: World) -> None:
    def refuse() -> None:
        raise Permanent("the ledger refused: value too long")

    incident = brought_to(world, Phase.PROBE, "ward_one")
    ledger, world.ledger = world.ledger, Between(world.ledger, "save", refuse)
    world.step(incident)
    world.ledger = ledger
    ended = world.run(incident)
    assert ended.phase is Phase.ESCALATE
    assert "value too long" in ended.reason
    assert len(world.notebook.sent) == 1


@pytest.mark.parametrize("phase", BEFORE_REST)
def test_an_incident_that_kills_its_workers_goes_to_a_person(world: World, phase: Phase) -> None:
    incident = brought_to(world, phase)
    for _ in range(6):
        world.engine().ledger.claim(incident, world.engine().pages.digests)
        travel(world.url, 41)
    ended = world.run(incident)
    assert ended.phase is Phase.ESCALATE
    assert ended.escalated_at is not None


def test_our_own_time_limit_in_an_effect_is_no_bug_and_nothing_is_sent_twice(world: World) -> None:
    incident = world.run(world.open("ward_late"))
    assert incident.ending == "resolved"
    assert len(world.ward.effects()) == 1


def test_a_process_without_hands_asks_for_them_once_and_stops(world: World) -> None:
    incident = brought_to(world, Phase.ESCALATE, "ward_back")
    world.has_hands = False
    before = world.now(incident).version
    world.engine().run(incident, [Phase.ESCALATE], lambda _i: world.now(incident).version < before + 20)
    assert world.now(incident).version == before + 1
    assert world.now(incident).wants_hands


def test_a_plan_that_cannot_be_read_here_is_not_undone_under_another_name(world: World) -> None:
    incident = world.run(world.open("ward_owing")).id
    unreadable = '{"plan": {"steps": "nobody can read this"}}'
    sql(world, "update byteport.incidents set state = state || %s::jsonb where id = %s", unreadable, incident)
    world.ward.set("v1", "leaking", True)
    travel(world.url, 31)
    for _ in range(6):
        world.step(incident)
    world.engine().deliver_due()
    assert world.ward.valve("v1").value == 7
    assert "cannot be read" in world.notebook.sent[-1].message.text


# -- several at once ---------------------------------------------------------------------------------------------------
