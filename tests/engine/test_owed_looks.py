"""A look that is owed an hour later: once, by an incident that writes nothing, with nothing held in between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from byteport.engine.owed_looks import take_due
from byteport.engine.pages import Pages
from byteport.grammar.plan import Plan
from byteport.grammar.runbook import LookAgain
from byteport.model.signal import Mode, Severity
from byteport.model.units import minutes
from byteport.records.incident import Incident, Phase
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests.ward import pages
from tests.ward.breaking import sql
from tests.ward.pages import NEVER_WELL, PULSE, key
from tests.ward.world import World, race

AGAIN = LookAgain(after=minutes(60), check="closed_twice", reason="an hour later it is not closed by two turns")
EASING = pages.page("ward_easing", lambda e: Plan(steps=(PULSE(name=key(e)),), end="partial"), look_again=AGAIN)
ENOUGH = pages.page(
    "ward_enough", pages.one, verify=NEVER_WELL,
    look_again=LookAgain(after=minutes(60), check="closed_twice", reason="not closed", enough="dry"),
)  # fmt: skip
HOUR = 3600.0


@pytest.fixture
def world(world: World) -> World:
    world.pages = (*pages.ALL, EASING, ENOUGH)
    return world


def eased(world: World, runbook: str = "ward_easing") -> Incident:
    """An incident that has ended partially resolved a moment ago."""
    ended = world.run(world.open(runbook))
    assert (ended.phase, ended.ending) == (Phase.CLOSED, "partially_resolved")
    return ended


def all_incidents(world: World) -> list[str]:
    return [line.id for line in reversed(world.ledger.listing())]


def looker(world: World, owing: Incident) -> str:
    """The incident that looks again, opened by a sweeper now."""
    world.engine().tend()
    (told,) = [event for event in world.ledger.events(owing.id) if event.kind == "looked_again"]
    return str(told.data["incident"])


def escalations(world: World) -> list[Any]:
    return [one.message for one in world.notebook.sent if one.message.kind == "escalation"]


def owed(world: World) -> list[Any]:
    return sql(world, "select incident, looker from byteport.owed_looks")


def holders(world: World) -> list[str]:
    return [lock.key for lock in world.ledger.held_locks()]


def test_nothing_is_held_and_nobody_is_woken_until_it_is_due(world: World) -> None:
    owing = eased(world)
    assert holders(world) == []
    assert escalations(world) == []
    for _ in range(3):
        travel(world.url, HOUR / 4)
        world.engine().tend()
        assert world.ledger.wake_due() == []
    assert all_incidents(world) == [owing.id]
    assert "look_owed" in [event.kind for event in world.ledger.events(owing.id)]


def test_what_is_not_calm_by_then_is_told_once_and_not_acted_on_again(world: World) -> None:
    owing = eased(world)
    world.ward.set("v1", "leaking", True)
    travel(world.url, HOUR)
    looking = looker(world, owing)
    ended = world.run(looking)
    assert (ended.phase, ended.follows, ended.plan) == (Phase.ESCALATE, owing.id, None)
    assert ended.reason.startswith(AGAIN.reason)
    assert len(world.ward.effects()) == 1
    (told,) = escalations(world)
    assert told.bundle["follows"].endswith(owing.id)
    assert [event.data["incident"] for event in world.ledger.events(looking) if event.kind == "follows"] == [owing.id]
    assert ended.signal.source == "byteport"
    assert holders(world) == []
    assert world.ledger.verify_chain(owing.id) is None


def test_what_is_calm_by_then_closes_and_nobody_hears_of_it(world: World) -> None:
    owing = eased(world)
    world.ward.set("v1", "value", 2)
    before = len(world.notebook.sent)
    travel(world.url, HOUR)
    ended = world.run(looker(world, owing))
    assert (ended.phase, ended.ending) == (Phase.CLOSED, "recovered")
    assert len(world.notebook.sent) == before
    assert len(world.ward.effects()) == 1
    travel(world.url, 2 * HOUR)
    world.engine().tend()
    assert len(all_incidents(world)) == 2  # who only looked owes nothing


def test_what_cannot_be_told_goes_to_a_person(world: World) -> None:
    owing = eased(world)
    world.ward.set("v1", "broken", True)
    travel(world.url, HOUR)
    ended = world.run(looker(world, owing))
    assert ended.phase is Phase.ESCALATE
    assert "cannot be told" in ended.reason


def test_two_sweepers_at_once_look_once_and_a_repeat_changes_nothing(world: World) -> None:
    owing = eased(world)
    travel(world.url, HOUR)
    assert race([world.engine().tend] * 4) == [None] * 4
    world.engine().tend()
    assert len(all_incidents(world)) == 2
    assert len([event for event in world.ledger.events(owing.id) if event.kind == "looked_again"]) == 1


def test_a_dry_run_owes_nothing(world: World) -> None:
    assert world.run(world.open("ward_easing", mode=Mode.DRY_RUN)).ending == "rehearsed"
    travel(world.url, 2 * HOUR)
    world.engine().tend()
    assert len(all_incidents(world)) == 1
    assert owed(world) == []


def test_what_a_person_cancelled_owes_nothing(world: World) -> None:
    incident = world.open("ward_easing")
    world.run(incident, until=Phase.ACT)
    world.ledger.command(incident, "cancel", "ada", "I do it myself")
    assert world.run(incident).ending == "cancelled"
    assert owed(world) == []


def test_a_paused_fleet_looks_all_the_same_and_people_hear_of_it(world: World) -> None:
    owing = eased(world)
    world.ledger.pause("", "deploy freeze", "ada")
    travel(world.url, HOUR)
    assert world.run(looker(world, owing)).phase is Phase.ESCALATE
    assert len(escalations(world)) == 1


def test_another_incident_may_act_there_meanwhile(world: World) -> None:
    eased(world)
    world.ward.set("v1", "leaking", True)
    other = world.run(world.open("ward_one"))
    assert other.ending == "resolved"
    assert len(world.ward.effects()) == 2


def test_a_signal_meanwhile_is_an_incident_of_its_own_and_the_look_waits_for_its_end(world: World) -> None:
    owing = eased(world)
    travel(world.url, HOUR - 30)
    world.ward.set("v1", "leaking", True)
    meanwhile = world.open("ward_easing")
    assert meanwhile != owing.id
    world.run(meanwhile, until=Phase.ACT)
    travel(world.url, 35)
    world.engine().tend()
    assert all_incidents(world) == [owing.id, meanwhile]
    assert world.run(meanwhile).ending == "partially_resolved"
    assert len(world.ward.effects()) == 2
    world.ward.set("v1", "value", 2)
    assert world.run(looker(world, owing)).ending == "recovered"


def test_where_people_have_heard_already_the_look_is_left_to_that_incident_undisturbed(world: World) -> None:
    owing = eased(world)
    travel(world.url, HOUR - 30)
    world.ward.set("v1", "leaking", True)
    world.ward.set("v1", "stuck", True)
    resting = world.run(world.open("ward_easing"))
    assert resting.phase is Phase.ESCALATE
    world.engine().take(world.signal("ward_easing", resolved=True))
    before, told = world.now(resting.id), len(world.notebook.sent)
    travel(world.url, 35)
    assert looker(world, owing) == resting.id
    after = world.now(resting.id)
    assert (after.clear_since, after.signals_seen, after.last_signal_at) == (
        before.clear_since, before.signals_seen, before.last_signal_at,
    )  # fmt: skip
    assert len(all_incidents(world)) == 2
    world.engine().deliver_due()
    assert len(world.notebook.sent) == told


@pytest.mark.parametrize(("severity", "phase"), [(Severity.WARNING, Phase.CLOSED), (Severity.CRITICAL, Phase.ESCALATE)])
def test_a_silence_keeps_people_from_hearing_of_it_unless_it_is_critical(
    world: World, severity: Severity, phase: Phase
) -> None:
    owing = world.run(world.open("ward_easing", severity=severity))
    world.ledger.silence({"runbook": "ward_easing"}, timedelta(hours=4), "known", "ada")
    travel(world.url, HOUR)
    ended = world.run(looker(world, owing))
    assert ended.phase is phase
    assert ended.ending == ("suppressed" if phase is Phase.CLOSED else "")


def test_a_page_that_says_no_more_what_to_look_at_goes_to_a_person(world: World) -> None:
    owing = eased(world)
    world.pages = (*pages.ALL, pages.page("ward_easing", pages.one))
    travel(world.url, HOUR)
    ended = world.run(looker(world, owing))
    assert ended.phase is Phase.ESCALATE
    assert "does not say any more" in ended.reason
    assert len(world.ward.effects()) == 1


def test_where_the_page_is_gone_people_are_told(world: World) -> None:
    owing = eased(world)
    world.pages = pages.ALL
    travel(world.url, HOUR)
    looking = looker(world, owing)
    travel(world.url, 61)
    world.engine().tend()
    assert world.now(looking).phase is Phase.ESCALATE
    world.engine().deliver_due()
    assert any("ward_easing" in one.message.title for one in world.notebook.sent)


def test_the_retention_does_not_forget_who_owes_a_look(world: World) -> None:
    owing = eased(world)
    world.ledger.forget_before(timedelta(0))
    assert all_incidents(world) == [owing.id]
    travel(world.url, HOUR)
    world.run(looker(world, owing))
    assert world.ledger.forget_before(timedelta(0)) == 1


def test_one_that_cannot_be_read_is_looked_at_all_the_same_and_keeps_no_other_waiting(world: World) -> None:
    first = eased(world)
    second = world.run(world.open("ward_easing", "v2"))
    travel(world.url, HOUR)
    sql(world, "update byteport.incidents set signal = '{}' where id = %s", first.id)
    assert take_due(world.ledger, Pages(tuple(world.pages)), NoDoorbell()) == 2
    assert world.run(looker(world, first)).phase is Phase.ESCALATE
    assert world.run(looker(world, second)).phase is Phase.ESCALATE


def test_a_verification_that_fails_ends_so_too_where_that_is_enough(world: World) -> None:
    owing = eased(world, "ward_enough")
    assert escalations(world) == []
    assert holders(world) == []
    travel(world.url, HOUR)
    assert world.run(looker(world, owing)).phase is Phase.ESCALATE


def test_a_verification_that_fails_is_a_persons_where_it_is_not_enough(world: World) -> None:
    incident = world.open("ward_enough")
    world.run(incident, until=Phase.VERIFY)
    world.ward.set("v1", "leaking", True)
    assert world.run(incident).phase is Phase.ESCALATE
