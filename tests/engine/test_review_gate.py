"""The gate where something breaks between two of its steps, and what is owed afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from byteport.errors import BadInput, Permanent, Unavailable
from byteport.grammar.plan import Plan, Undo
from byteport.grammar.runbook import Move
from byteport.grammar.verdict import Claim
from byteport.model.signal import Mode
from byteport.model.units import minutes
from byteport.ports import Readers
from byteport.records.change import Lease, LockWanted
from byteport.records.incident import Phase
from byteport.records.intent import Intent
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.world import World


class Blind(pages.SetValve):
    """Needs no look before; whether it holds can be told only while the valve answers."""

    def look_before(self, readers: Readers) -> dict[str, Any]:
        return {}


class Unlookable(pages.Pulse):
    """Must look before it acts, and may not."""

    def look_before(self, readers: Readers) -> dict[str, Any]:
        raise Permanent("permission denied to look")


BLIND, UNLOOKABLE = Move("blind", Blind, pages.WIDE), Move("unlookable", Unlookable, (pages.STUCK_BUDGET,))


def undoing(when: str | None) -> Callable[[Any], Plan]:
    def plan(e: pages.WardEvidence) -> Plan:
        back = Undo(action=pages.SetValve(name=pages.key(e), was=7, to=0), when=when, by=minutes(10))
        return Plan(steps=(BLIND(undo=back, name=pages.key(e), was=0, to=7),))

    return plan


SIGHTLESS = pages.page("ward_sightless", undoing(None), moves=(BLIND,))
OWING = pages.page("ward_owing", undoing("leaks"), moves=(BLIND,), verify=pages.NEVER_WELL)
BACK = pages.page("ward_back", undoing(None), moves=(BLIND,), verify=pages.NEVER_WELL)
DENIED = pages.page("ward_denied", lambda e: Plan(steps=(UNLOOKABLE(name=pages.key(e)),)), moves=(UNLOOKABLE,))
TWICE = pages.page(
    "ward_twice", lambda e: Plan(steps=(pages.PULSE(name=pages.key(e)), pages.PULSE(name=pages.key(e), turn=2)))
)
TURNS = Claim(key="turns:valve:v1", limit=1, window_seconds=86400, guard="turns_a_day")


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, SIGHTLESS, OWING, BACK, DENIED, TWICE)


def sql(world: World, text: str, *values: Any) -> list[Any]:
    with psycopg.connect(world.url) as connection:
        cursor = connection.execute(text, values)
        return cursor.fetchall() if cursor.description else []


@dataclass
class Between:
    """A store before whose first call of that name something else happens."""

    store: Any
    name: str
    first: Callable[[], Any]
    skip: int = 0
    seen: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        reached = getattr(self.store, name)
        if name != self.name:
            return reached

        def call(*args: Any, **more: Any) -> Any:
            self.seen.append(name)
            if len(self.seen) == self.skip + 1:
                self.first()
            return reached(*args, **more)

        return call


class Gone:
    """A store that cannot be reached."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def gone(*_args: Any, **_more: Any) -> Any:
            raise Unavailable("connection refused")

        return gone


def steps(world: World, incident: str, n: int, each: float = 0) -> None:
    for _ in range(n):
        world.step(incident)
        if each:
            travel(world.url, each)


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
    ledger, world.ledger = world.ledger, Between(world.ledger, "open_intent", refuse)
    assert world.run(incident).phase is Phase.ESCALATE
    world.ledger = ledger
    assert world.budgets.counts([TURNS])[0].used == 0


def test_a_store_that_another_has_just_rebuilt_is_not_rebuilt_again(world: World) -> None:
    def rebuild() -> None:
        with ledger.begin_rebuild() as (epoch, spends):
            world.budgets.rebuild(epoch, spends)

    ledger = world.ledger
    incident = world.open("ward_limited")
    rebuild()
    world.run(incident, until=Phase.ACT)
    world.ledger = Between(ledger, "open_intent", rebuild)
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
    assert "look" in world.now(incident).reason
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
    world.ledger = Between(ledger, "begin_attempt", lambda: ledger.pause("", "freeze", "ada"))
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


def claimed(world: World, incident: str) -> Lease:
    found = world.ledger.claim(incident, world.engine().pages.digests)
    assert found is not None
    return found[1]


def test_a_holder_that_was_frozen_beyond_its_lease_begins_nothing_when_it_wakes(world: World) -> None:
    ledger = world.ledger
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)

    def frozen() -> None:
        travel(world.url, 41)
        world.ledger = ledger
        world.run(incident)  # another worker carries it through
        assert len(world.ward.effects()) == 1

    world.ledger = Between(ledger, "begin_attempt", frozen)
    frozen_engine = world.engine()
    while world.now(incident).phase is Phase.ACT:
        frozen_engine.move(incident)
    assert len(world.ward.effects()) == 1
    assert world.now(incident).ending == "resolved"


def test_a_holder_that_was_frozen_after_the_effect_changes_nothing_when_it_wakes(world: World) -> None:
    ledger = world.ledger
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)

    def frozen() -> None:
        travel(world.url, 41)
        world.ledger = ledger
        world.run(incident)

    world.ledger = Between(ledger, "mark_answered", frozen)
    frozen_engine = world.engine()
    while world.now(incident).phase is Phase.ACT:
        frozen_engine.move(incident)
    assert len(world.ward.effects()) == 1
    assert world.now(incident).ending == "resolved"


def test_nothing_begins_when_too_little_of_the_lease_is_left(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.ledger = Between(world.ledger, "begin_attempt", lambda: travel(world.url, 34))  # 6 s left, 5 + 2 wanted
    steps(world, incident, 4)
    assert world.ward.effects() == []
    assert world.run(incident).ending == "resolved"
    assert len(world.ward.effects()) == 1


def attempts(intents: list[Intent]) -> list[int]:
    return [intent.attempts for intent in intents]


@pytest.mark.parametrize("call", ["begin_attempt", "mark_answered", "settle", "open_intent", "find_intent", "standing"])
def test_a_ledger_that_goes_away_at_any_call_is_waited_for_and_nothing_is_done_twice(world: World, call: str) -> None:
    def away() -> None:
        raise Unavailable("the ledger went away")

    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    ledger, world.ledger = world.ledger, Between(world.ledger, call, away)
    with pytest.raises(Unavailable):
        steps(world, incident, 6)
    world.ledger = ledger
    travel(world.url, timedelta(seconds=41).total_seconds())
    assert world.run(incident).ending == ("resolved")
    assert len(world.ward.effects()) == 1
    assert attempts(ledger.intents_of(incident)) == [1]
