"""Incidents whose page no worker has any more: adopted, never revived; and told plainly where it is gone for good."""

from __future__ import annotations

import pytest

from byteport.grammar.plan import Plan
from byteport.records.incident import Incident, Phase
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.breaking import OWING, sql
from tests.ward.world import World

NEWER = pages.page("ward_one", pages.one, confidence_floor=75)


def deploy_newer(world: World) -> None:
    """All workers have another page of ward_one; for long enough nobody has had the old one."""
    world.pages = (NEWER, *world.pages[1:])
    travel(world.url, 101)
    world.engine().tend()


def remove(world: World, runbook: str) -> None:
    """No worker has the runbook any more, and that has been so for a while."""
    world.pages = tuple(page for page in world.pages if page.name != runbook)
    tend_for_a_while(world, 2)


def tend_for_a_while(world: World, times: int) -> None:
    for _ in range(times):
        travel(world.url, 101)
        world.engine().tend()
        world.engine().deliver_due()


def escalated(world: World) -> Incident:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.ledger.pause("", "freeze", "ada")
    ended = world.run(incident)
    assert ended.phase is Phase.ESCALATE
    world.ledger.resume("", "ada")
    return ended


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, OWING)


# -- adopted -----------------------------------------------------------------------------------------------------------
def test_what_a_person_cancelled_is_not_taken_up_again_by_a_newer_page(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.ledger.command(incident, "cancel", "ada", "hands off, I do it myself")
    world.step(incident)
    assert world.now(incident).phase is Phase.WRITE_UP
    deploy_newer(world)
    ended = world.run(incident)
    assert (ended.page, ended.ending) == (NEWER.digest, "cancelled")
    assert ended.reason == "cancelled by ada: hands off, I do it myself"
    assert world.ward.effects() == []


def test_what_rests_with_people_is_not_acted_on_after_a_deploy(world: World) -> None:
    before = escalated(world)
    world.engine().take(world.signal("ward_one"))
    deploy_newer(world)
    after = world.run(before.id)
    assert (after.page, after.phase, after.reason) == (NEWER.digest, Phase.ESCALATE, before.reason)
    assert world.ward.effects() == []
    assert len(world.notebook.sent) == 1


def test_a_cancel_that_nobody_has_read_outlives_the_adoption(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.ledger.command(incident, "cancel", "ada", "hands off")
    deploy_newer(world)
    assert world.run(incident).ending == "cancelled"
    assert world.ward.effects() == []


# -- gone for good -----------------------------------------------------------------------------------------------------
def test_an_incident_whose_page_is_gone_for_good_comes_to_people_once(world: World) -> None:
    incident = world.open("ward_undoing")
    world.run(incident, until=Phase.VERIFY)
    remove(world, "ward_undoing")
    (sent,) = world.notebook.sent
    assert sent.message.channel == "journal"
    assert "no worker has the runbook ward_undoing any more" in sent.message.text
    assert "undo of set on valve:v1" in sent.message.text
    assert world.now(incident).phase is Phase.ESCALATE
    tend_for_a_while(world, 15)
    assert len(world.notebook.sent) == 1
    assert world.ledger.verify_chain(incident) is None


def test_who_is_left_to_people_does_not_fill_the_sweepers_list(world: World) -> None:
    world.run(world.open("ward_undoing"), until=Phase.VERIFY)
    remove(world, "ward_undoing")
    assert world.ledger.wake_due() == []


def test_a_runbook_that_returns_goes_on_and_undoes_what_it_owes(world: World) -> None:
    incident = world.open("ward_undoing")
    world.run(incident, until=Phase.VERIFY)
    whole = world.pages
    remove(world, "ward_undoing")
    world.pages = whole
    world.ward.set("v1", "leaking", False)
    world.run(incident)
    travel(world.url, 601)
    for _ in range(6):
        world.step(incident)
        travel(world.url, 31)
    assert world.ward.valve("v1").value == 0


def test_a_person_closes_what_is_left_to_people_and_its_locks_are_free(world: World) -> None:
    incident = world.open("ward_undoing")
    world.run(incident, until=Phase.VERIFY)
    remove(world, "ward_undoing")
    world.ledger.command(incident, "close", "ada", "I set it back")
    tend_for_a_while(world, 2)
    ended = world.now(incident)
    assert (ended.phase, ended.ending, ended.reason) == (Phase.CLOSED, "closed", "close by ada: I set it back")
    assert world.ledger.held_locks() == []
    assert world.ledger.owed(incident) == []
    assert world.ledger.verify_chain(incident) is None


def test_what_a_person_cancelled_closes_although_its_page_is_gone(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.ledger.command(incident, "cancel", "ada", "hands off")
    world.step(incident)
    remove(world, "ward_one")
    assert (world.now(incident).phase, world.now(incident).ending) == (Phase.CLOSED, "cancelled")


def test_an_intent_that_is_open_when_its_page_goes_is_named(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    while not world.ledger.intents_of(incident):
        world.step(incident)
    sql(world, "update byteport.intents set outcome = null, settled_at = null where incident = %s", incident)
    remove(world, "ward_one")
    assert "pulse on valve:v1, begun and not settled" in world.notebook.sent[-1].message.text


def test_orphans_of_a_removed_page_do_not_starve_the_others(world: World) -> None:
    incident = world.open("ward_one")
    sql(
        world,
        """insert into byteport.incidents (id, runbook, page, target_kind, target_key, phase, mode, severity, due_at,
                                           opened_at, signal, state)
           select 'x' || n, 'removed', 'removed', 'service', 'x' || n, 'open', 'live', 'warning',
                  byteport.clock() - interval '1 day', byteport.clock(), i.signal, i.state
           from byteport.incidents i, generate_series(1, 150) n where i.id = %s""",
        incident,
    )
    deploy_newer(world)
    assert world.now(incident).page == NEWER.digest
    world.engine().tend()
    assert sql(world, "select count(*) from byteport.incidents where phase = 'escalate'") == [(150,)]


def test_one_process_without_a_runbook_leaves_those_alone_who_work_on_it(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    without = tuple(page for page in world.pages if page.name != "ward_one")
    travel(world.url, 30)
    world.pages, whole = without, world.pages
    world.engine().tend()
    world.pages = whole
    assert world.run(incident).ending == "resolved"
    assert isinstance(world.now(incident).plan, Plan)
