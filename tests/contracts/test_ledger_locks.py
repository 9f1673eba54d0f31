"""Locks of a plan: all or none, held by the incident, and never by two who may not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import Stale
from byteport.records.change import Change, LockConflict, LockWanted
from byteport.records.incident import Phase
from tests.contracts.conftest import RUNBOOK, race, target_of

ALONE, SHARED = LockWanted(key="server-1"), LockWanted(key="server-1", exclusive=False)
TWO = LockWanted(key="remediations", exclusive=False, capacity=2, guard="max_concurrent_remediations")


@pytest.mark.parametrize(
    ("held", "wanted", "granted"),
    [(ALONE, ALONE, False), (ALONE, SHARED, False), (SHARED, ALONE, False), (SHARED, SHARED, True), (TWO, TWO, True)],
)
def test_who_may_hold_beside_whom(world, held, wanted, granted):
    (first, lease), (_, other) = world.acting("db-1"), world.acting("db-2")
    assert world.ledger.take_locks(lease, [held]) is None
    conflict = world.ledger.take_locks(other, [wanted])
    assert (conflict is None) is granted
    if conflict is not None:
        assert conflict == LockConflict(key="server-1", guard="target_lock", holders=(first,), limit=1)


def test_all_or_none(world):
    (_, lease), (second, other) = world.acting("db-1"), world.acting("db-2")
    world.ledger.take_locks(lease, [ALONE])
    assert world.ledger.take_locks(other, [LockWanted(key="a"), ALONE, LockWanted(key="z")]) is not None
    assert {lock.key for lock in world.ledger.held_locks()} == {"server-1"}
    assert world.ledger.standing(second, RUNBOOK, target_of()).held == frozenset()


def test_a_capacity_is_full_when_it_is_full(world):
    holders = [world.acting(f"db-{n}") for n in range(3)]
    assert [world.ledger.take_locks(lease, [TWO]) is None for _, lease in holders] == [True, True, False]
    conflict = world.ledger.take_locks(holders[2][1], [TWO])
    assert (conflict.limit, conflict.guard, set(conflict.holders)) == (
        2, "max_concurrent_remediations", {holders[0][0], holders[1][0]},
    )  # fmt: skip


def test_the_same_incident_takes_its_locks_again(world):
    incident, lease = world.acting()
    assert world.ledger.take_locks(lease, [ALONE, SHARED, TWO]) is None
    assert world.ledger.take_locks(lease, [ALONE, TWO]) is None
    assert world.ledger.standing(incident, RUNBOOK, target_of()).held == {"server-1", "remediations"}


def test_a_shared_lock_asked_for_beside_an_exclusive_one_does_not_weaken_it(world):
    (_, lease), (_, other) = world.acting("db-1"), world.acting("db-2")
    world.ledger.take_locks(lease, [SHARED, ALONE])
    world.ledger.take_locks(lease, [SHARED])
    assert world.ledger.take_locks(other, [SHARED]) is not None


@pytest.mark.parametrize("wanted", [ALONE, TWO])
def test_of_many_at_once_no_more_than_may_get_it(world, wanted):
    leases = [world.acting(f"db-{n}")[1] for n in range(8)]
    taken = race([lambda lease=lease: world.ledger.take_locks(lease, [wanted]) for lease in leases])
    assert taken.count(None) == max(1, wanted.capacity)


def test_plans_that_want_each_others_locks_do_not_deadlock(world):
    leases = [world.acting(f"db-{n}")[1] for n in range(6)]
    keys = [LockWanted(key=f"k{n}") for n in range(6)]
    taken = race([lambda n=n: world.ledger.take_locks(leases[n], keys[n:] + keys[:n]) for n in range(6)])
    assert taken.count(None) == 1
    assert all(conflict is None or isinstance(conflict, LockConflict) for conflict in taken)
    assert len({lock.incident for lock in world.ledger.held_locks()}) == 1


def test_a_lock_that_nobody_renews_lapses(world):
    (_, lease), (second, _) = world.acting("db-1"), world.acting("db-2")
    world.ledger.take_locks(lease, [ALONE])
    world.travel(15 * 60 + 1)
    assert world.ledger.held_locks() == []
    assert world.ledger.take_locks(world.claim(second)[1], [ALONE]) is None


def test_a_lock_never_lapses_while_somebody_sweeps(world):
    (incident, lease), (second, _) = world.acting("db-1"), world.acting("db-2")
    world.ledger.take_locks(lease, [ALONE])
    seen = world.ledger.incident(incident)
    wait = Change(incident=seen.model_copy(update={"due_at": lease.now + timedelta(hours=9), "locked": True}))
    world.ledger.save(wait, lease)
    for _ in range(4):
        world.travel(10 * 60)
        world.ledger.wake_due()
    assert [lock.incident for lock in world.ledger.held_locks()] == [incident]
    assert world.ledger.take_locks(world.claim(second)[1], [ALONE]) is not None


def test_moves_renew_locks(world):
    incident, lease = world.acting()
    world.ledger.take_locks(lease, [ALONE])
    world.travel(10 * 60)
    world.claim(incident)
    world.travel(10 * 60)
    assert [lock.incident for lock in world.ledger.held_locks()] == [incident]


@pytest.mark.parametrize("ends", [{"release_locks": True}, {"phase": Phase.CLOSED, "ending": "resolved"}])
def test_locks_end_with_their_release_or_their_incident(world, ends):
    incident, lease = world.acting()
    world.ledger.take_locks(lease, [ALONE])
    world.travel(41)
    saved = world.move(incident, locked=True, **ends)
    assert not saved.locked
    assert world.ledger.held_locks() == []


def test_who_lost_the_claim_takes_nothing(world):
    incident, lease = world.acting()
    world.travel(41)
    world.claim(incident)
    with pytest.raises(Stale):
        world.ledger.take_locks(lease, [ALONE])
    assert world.ledger.held_locks() == []


def test_locks_are_listed_as_guards(world):
    incident, lease = world.acting()
    world.ledger.take_locks(lease, [ALONE, TWO])
    rows = {row.key: row for row in world.ledger.guard_rows()}
    assert (rows["server-1"].kind, rows["server-1"].holder, rows["server-1"].limit) == ("lock", incident, 1)
    assert (rows["remediations"].used, rows["remediations"].limit) == (1, 2)
