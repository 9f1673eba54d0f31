"""What stands in the way now, and for how long: budgets, cooldowns, locks; and a person's word that one counts no more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import BadInput
from byteport.grammar.verdict import Claim
from byteport.records.change import LockWanted
from byteport.records.incident import Phase
from byteport.records.outcome import Done
from tests.contracts.conftest import RUNBOOK, acting, once, target_of

SHARED = LockWanted(key="server-1", exclusive=False)
ROOM_FOR_TWO = LockWanted(key="remediations", exclusive=False, capacity=2, guard="max_concurrent_remediations")
ROOM_FOR_FIVE = ROOM_FOR_TWO.with_(capacity=5)


def listed(world, **cooldowns: timedelta):
    return {row.key: row for row in world.ledger.guard_rows(cooldowns)}


def test_a_budget_shows_every_holder_its_count_and_when_its_oldest_spend_leaves(world):
    (first, held), (second, lease) = acting(world, 2)
    world.begin(world.intent(first, held, once(limit=20, amount=3), key="i1"), held)
    world.travel(10)
    world.begin(world.intent(second, lease, once(limit=20, amount=4), key="i2"), lease)
    row = listed(world)["kills:server-1"]
    assert (row.kind, row.used, row.limit) == ("rate_limit", 7, 20)
    assert set(row.holder.split(", ")) == {first, second}
    assert 40 < row.seconds_left <= 50
    assert row.frees_at is not None


def test_a_cooldown_is_listed_as_one(world):
    incident, lease = world.acting()
    cooling = Claim(key="restarts:db-1", limit=1, window_seconds=600, guard="restart_cooldown", kind="cooldown")
    world.begin(world.intent(incident, lease, cooling), lease)
    row = listed(world)["restarts:db-1"]
    assert (row.kind, row.used, row.limit, row.holder) == ("cooldown", 1, 1, incident)
    assert 590 < row.seconds_left <= 600


def test_a_ceiling_has_no_time_left_and_goes_with_its_incident(world):
    incident, lease = world.acting()
    ceiling = f"kills_per_incident:{incident}"
    world.ledger.settle(world.begin(world.intent(incident, lease, once(ceiling, per=0)), lease), Done())
    row = listed(world)[ceiling]
    assert (row.frees_at, row.seconds_left, row.used, row.limit) == (None, None, 1, 1)
    world.travel(41)
    world.move(incident, phase=Phase.CLOSED, ending="resolved")
    assert ceiling not in listed(world)


def test_locks_say_who_holds_them_and_capacities_how_many_of_how_many(world):
    (first, held), (second, lease) = acting(world, 2)
    world.ledger.take_locks(held, [LockWanted(key="db-0"), SHARED, ROOM_FOR_FIVE])
    world.ledger.take_locks(lease, [LockWanted(key="db-1"), SHARED, ROOM_FOR_TWO])
    rows = listed(world)
    assert [(rows[key].kind, rows[key].used, rows[key].limit) for key in ("db-0", "server-1", "remediations")] == [
        ("lock", 1, 1),
        ("shared_lock", 2, None),
        ("capacity", 2, 2),
    ]
    assert (rows["db-0"].holder, rows["remediations"].holder) == (first, f"{first}, {second}")
    assert 800 < rows["db-0"].seconds_left <= 900


def test_a_runbooks_own_cooldown_is_listed_as_long_as_it_holds_the_target_back(world):
    """It begins anew with the closing, in the list as in the decision."""
    incident, lease = world.acting()
    world.ledger.settle(world.begin(world.intent(incident, lease, once()), lease), Done())
    world.travel(50)
    world.move(incident, phase=Phase.CLOSED, ending="resolved")
    world.travel(100)
    row = listed(world, **{RUNBOOK: timedelta(minutes=2)})[f"runbook_cooldown:{RUNBOOK}:db-1"]
    ago = world.ledger.standing("another", RUNBOOK, target_of()).acted_ago
    assert abs(row.seconds_left - (120 - ago.total_seconds())) < 1
    assert 18 < row.seconds_left <= 20
    world.travel(21)
    assert f"runbook_cooldown:{RUNBOOK}:db-1" not in listed(world, **{RUNBOOK: timedelta(minutes=2)})


def test_a_runbooks_own_cooldown_on_a_target_is_listed_while_it_lasts(world):
    incident, lease = world.acting()
    world.begin(world.intent(incident, lease, once()), lease)
    cooldowns = {RUNBOOK: timedelta(minutes=2), "another": timedelta(hours=1)}
    key = f"runbook_cooldown:{RUNBOOK}:db-1"
    row = listed(world, **cooldowns)[key]
    assert (row.kind, row.used, row.limit, row.holder) == ("cooldown", 1, 1, incident)
    assert 110 < row.seconds_left <= 120
    world.travel(121)
    assert key not in listed(world, **cooldowns)


def test_a_reset_is_kept_with_who_and_why_and_its_counter_is_no_longer_in_use(world):
    incident, lease = world.acting()
    world.begin(world.intent(incident, lease, once(limit=5, amount=2)), lease)
    assert world.ledger.reset_guard("kills:server-1", "ada", "the replica was rebuilt") == 1
    assert "kills:server-1" not in listed(world)
    (reset,) = world.ledger.resets()
    assert (reset.key, reset.who, reset.why, reset.spends) == ("kills:server-1", "ada", "the replica was rebuilt", 1)
    with world.ledger.begin_rebuild() as (_, spends):
        assert spends == []


def test_resets_are_listed_newest_first(world):
    for n in range(3):
        incident, lease = world.acting(f"db-{n}")
        world.begin(world.intent(incident, lease, once(f"kills:{n}")), lease)
        world.ledger.reset_guard(f"kills:{n}", "ada", "again")
    assert [reset.key for reset in world.ledger.resets(limit=2)] == ["kills:2", "kills:1"]


@pytest.mark.parametrize("key", ["nope", "", "kills:server-2"])
def test_what_is_not_in_use_is_not_reset_and_leaves_no_row(world, key):
    with pytest.raises(BadInput, match="a counter that is in use"):
        world.ledger.reset_guard(key, "ada", "why not")
    assert world.ledger.resets() == []


def test_a_window_that_has_passed_is_not_in_use(world):
    incident, lease = world.acting()
    world.begin(world.intent(incident, lease, once(per=30)), lease)
    world.travel(31)
    with pytest.raises(BadInput, match="a counter that is in use"):
        world.ledger.reset_guard("kills:server-1", "ada", "why not")


def test_the_ceiling_of_an_incident_is_not_reset(world):
    incident, lease = world.acting()
    world.begin(world.intent(incident, lease, once(f"kills_per_incident:{incident}", per=0)), lease)
    with pytest.raises(BadInput, match="ceiling of one incident"):
        world.ledger.reset_guard(f"kills_per_incident:{incident}", "ada", "more")
    assert world.ledger.resets() == []


def test_what_is_for_ever_and_of_no_single_incident_can_be_reset(world):
    incident, lease = world.acting()
    world.begin(world.intent(incident, lease, once("resizes:disk-1", per=0)), lease)
    assert world.ledger.reset_guard("resizes:disk-1", "ada", "the disk was replaced") == 1


def test_a_lock_is_not_reset_and_its_holder_is_named(world):
    incident, lease = world.acting()
    world.ledger.take_locks(lease, [LockWanted(key="db-1")])
    with pytest.raises(BadInput, match=f"a lock.*held by {incident}"):
        world.ledger.reset_guard("db-1", "ada", "let go")
    assert world.ledger.held_locks() != []


def test_a_runbooks_own_cooldown_is_not_reset(world):
    with pytest.raises(BadInput, match="counts from its last act"):
        world.ledger.reset_guard(f"runbook_cooldown:{RUNBOOK}:db-1", "ada", "now")
