"""The gate where something breaks between two of its steps, and what is owed afterwards."""

from __future__ import annotations

import pytest

from byteport.errors import BadInput, Permanent
from byteport.model.signal import Mode
from byteport.records.change import LockWanted
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.breaking import (
    BACK,
    DENIED,
    OWING,
    SIGHTLESS,
    TURNS,
    TWICE,
    Between,
    Gone,
    claimed,
    sql,
    steps,
)
from tests.ward.world import World


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, SIGHTLESS, OWING, BACK, DENIED, TWICE)


def test_what_cannot_be_looked_at_before_the_first_attempt_is_neither_written_nor_undone(world: World) -> None:
    incident = world.open("ward_sightless")
    world.run(incident, until=Phase.ACT)
    world.ward.set("v1", "value", 7)  # a person did it meanwhile
    world.ward.set("v1", "broken", True)
    steps(world, incident, 3)
    assert world.ward.effects() == []
    assert "cannot look before acting" in world.texts(incident, "held")[0]
    world.ward.set("v1", "broken", False)
    travel(world.url, 6)
    world.run(incident)
    assert world.ward.effects() == []
    assert world.ward.valve("v1").value == 7


def test_a_look_that_is_denied_before_acting_spends_nothing(world: World) -> None:
    incident = world.run(world.open("ward_denied"))
    assert incident.phase is Phase.ESCALATE
    assert "permission denied to look" in incident.reason
    assert world.budgets.counts([TURNS])[0].used == 0
    assert world.ward.effects() == []


def test_a_grant_whose_intent_the_ledger_refuses_is_given_back(world: World) -> None:
    def refuse() -> None:
        raise Permanent("the ledger refused")

    incident = world.open("ward_limited")
    world.run(incident, until=Phase.ACT)
    ledger, world.ledger = world.ledger, Between(world.ledger, "open_and_begin", refuse)
    assert world.run(incident).phase is Phase.ESCALATE
    world.ledger = ledger
    assert world.budgets.counts([TURNS])[0].used == 0


def test_a_grant_whose_claim_has_passed_on_is_given_back(world: World) -> None:
    incident = world.open("ward_limited")
    world.run(incident, until=Phase.ACT)
    ledger = world.ledger
    world.ledger = Between(ledger, "open_and_begin", lambda: ledger.command(incident, "cancel", "ada", "hands off"))
    assert world.run(incident).ending == "cancelled"
    world.ledger = ledger
    assert world.budgets.counts([TURNS])[0].used == 0
    assert world.ward.effects() == []


def test_a_store_that_another_has_just_rebuilt_is_not_rebuilt_again(world: World) -> None:
    def rebuild() -> None:
        with ledger.begin_rebuild() as (epoch, spends):
            world.budgets.rebuild(epoch, spends)

    ledger = world.ledger
    incident = world.open("ward_limited")
    rebuild()
    world.run(incident, until=Phase.ACT)
    world.ledger = Between(ledger, "open_and_begin", rebuild)
    assert world.run(incident).ending == "resolved"
    assert len(world.ward.effects()) == 1
    assert sql(world, "select epoch from byteport.budgets_epoch") == [(2,)]


def test_a_step_that_is_held_for_ever_goes_to_a_person_and_frees_its_locks(world: World) -> None:
    incident = world.open("ward_twice")
    world.run(incident, until=Phase.ACT)
    while world.now(incident).cursor == 0:
        world.step(incident)
    world.ward.set("v1", "broken", True)
    ended = world.run(incident, most=200)
    assert ended.phase is Phase.ESCALATE
    assert "cannot look before acting" in ended.reason
    assert len(world.ward.effects()) == 1
    assert world.ledger.held_locks() == []


def test_evidence_that_grows_old_and_is_not_renewed_is_never_acted_on(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    travel(world.url, 31)
    engine = world.engine()
    for _ in range(12):  # no probe answers any more
        engine.move(incident)
        travel(world.url, 91)
        if world.now(incident).phase is Phase.ESCALATE:
            break
    assert world.now(incident).phase is Phase.ESCALATE
    assert "nobody answered in time" in world.now(incident).reason
    assert world.ward.effects() == []


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.CLASSIFY, Phase.ACT])
def test_nobody_can_approve_what_is_not_asked(world: World, phase: Phase) -> None:
    incident = world.open("ward_one", mode=Mode.APPROVE if phase is not Phase.ACT else Mode.LIVE)
    world.run(incident, until=phase) if phase is not Phase.OPEN else None
    with pytest.raises(BadInput, match="waits for approval"):
        world.ledger.command(incident, "approve", "ada", "looks right")


def test_an_approval_of_an_older_plan_counts_for_nothing(world: World) -> None:
    incident = world.open("ward_one", mode=Mode.APPROVE)
    sql(world, "update byteport.incidents set command = 'approve', command_by = 'ada' where id = %s", incident)
    assert world.run(incident).phase is Phase.PLAN
    travel(world.url, 31 * 60)
    assert world.run(incident).phase is Phase.ESCALATE
    assert world.ward.effects() == []


def test_a_rehearsal_that_hands_over_opens_a_child_that_rehearses(world: World) -> None:
    world.ledger.promote("ward_one", Mode.LIVE, "test", "test")
    parent = world.run(world.open_by_hand("ward_handing", mode=Mode.DRY_RUN))
    assert parent.ending == "handed_over"
    child = next(line for line in world.ledger.listing() if line.runbook == "ward_one")
    assert world.run(child.id).ending == "rehearsed"
    assert world.ward.effects() == []


def test_a_lock_that_was_lost_on_the_way_stops_the_run(world: World) -> None:
    incident = world.open("ward_twice")
    world.run(incident, until=Phase.ACT)
    while world.now(incident).cursor == 0:
        world.step(incident)
    sql(world, "delete from byteport.locks where incident = %s", incident)
    ended = world.run(incident)
    assert ended.phase is Phase.ESCALATE
    assert [verdict["guard"] for verdict in world.verdicts(incident)] == ["target_lock"]
    assert len(world.ward.effects()) == 1


def test_a_step_in_flight_is_settled_before_its_undo_begins(world: World) -> None:
    incident = world.open("ward_back")
    world.run(incident, until=Phase.VERIFY)
    sql(world, "update byteport.intents set outcome = null, settled_at = null where incident = %s", incident)
    sql(world, "update byteport.incidents set phase = 'escalate', reason = 'lost' where id = %s", incident)
    world.ward.set("v1", "value", 3)  # not yet there, as far as anybody can see
    steps(world, incident, 4)
    assert [intent.direction for intent in world.ledger.intents_of(incident)] == ["do"]
    world.ward.set("v1", "value", 7)
    travel(world.url, 31)
    steps(world, incident, 6)
    assert world.ward.valve("v1").value == 0
    assert world.now(incident).undone


def test_a_pause_between_the_look_and_the_undo_holds_it_and_does_not_lose_it(world: World) -> None:
    incident = world.open("ward_back")
    world.run(incident, until=Phase.ESCALATE)
    ledger = world.ledger
    world.ledger = Between(ledger, "open_and_begin", lambda: ledger.pause("", "freeze", "ada"))
    steps(world, incident, 3)
    assert world.ward.valve("v1").value == 7
    world.ledger = ledger
    ledger.resume("", "ada")
    travel(world.url, 31)
    steps(world, incident, 3)
    assert world.ward.valve("v1").value == 0
    assert world.now(incident).undone


def test_a_pause_holds_an_undo_and_is_told_at_its_deadline(world: World) -> None:
    incident = world.open("ward_back")
    world.run(incident, until=Phase.ESCALATE)
    world.ledger.pause("", "freeze", "ada")
    steps(world, incident, 3)
    world.engine().deliver_due()
    travel(world.url, 601)
    steps(world, incident, 4)
    world.engine().deliver_due()
    assert world.ward.valve("v1").value == 7
    assert "ada: freeze" in world.notebook.sent[-1].message.text


def test_an_undo_of_what_hosts_byteport_is_not_performed(world: World) -> None:
    incident = world.open("ward_back")
    world.run(incident, until=Phase.ESCALATE)
    world.ledger.register_self("p1", ["valve:v1"], "")
    steps(world, incident, 3)
    assert world.ward.valve("v1").value == 7


def test_an_undo_needs_no_budgets_store_and_is_counted_all_the_same(world: World) -> None:
    incident = world.open("ward_back")
    world.run(incident, until=Phase.ESCALATE)
    world.budgets = Gone()
    steps(world, incident, 3)
    assert world.ward.valve("v1").value == 0
    counted = sql(world, "select count(*) from byteport.spends where claim_key = 'global_writes:ward-v1'")
    assert counted == [(2,)]


@pytest.mark.parametrize("held", [True, False])
def test_a_late_undo_takes_its_locks_again_and_waits_for_who_holds_them(world: World, held: bool) -> None:
    incident = world.run(world.open("ward_owing")).id
    assert world.ledger.held_locks() == []
    other = world.open("ward_one")
    lease = claimed(world, other)
    if held:
        assert world.ledger.take_locks(lease, [LockWanted(key="service:v1")]) is None
    world.ward.set("v1", "leaking", True)
    travel(world.url, 31)
    steps(world, incident, 4)
    assert world.ward.valve("v1").value == (7 if held else 0)
    assert {lock.incident for lock in world.ledger.held_locks()} == ({other} if held else set())
