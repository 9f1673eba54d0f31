"""Claims are leases, saves are compare-and-set, and whoever died holding one is followed by another."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from itertools import chain

import pytest

from byteport.adapters.ledger import PostgresLedger
from byteport.errors import Stale
from byteport.grammar.plan import Do, Pause, Plan, Undo
from byteport.records.change import Change, LockWanted
from byteport.records.incident import Phase
from tests.contracts.conftest import PAGE, Kick, race


def test_of_many_claimers_one_gets_it(world):
    incident = world.open()
    claims = race([lambda: world.ledger.claim(incident, [PAGE])] * 10)
    assert [claim is not None for claim in claims].count(True) == 1


def test_a_claim_is_refused_before_it_is_due_and_for_another_page(world):
    incident = world.open()
    assert world.ledger.claim(incident, ["page-2"]) is None
    assert world.ledger.claim(incident, []) is None
    seen, lease = world.claim(incident)
    world.ledger.save(Change(incident=seen.due_in(timedelta(seconds=30), lease.now)), lease)
    assert world.ledger.claim(incident, [PAGE]) is None
    world.travel(31)
    assert world.ledger.claim(incident, [PAGE]) is not None


def test_a_claim_lasts_forty_seconds_and_its_numbers_only_rise(world):
    incident = world.open()
    first = world.claim(incident)[1]
    assert first.until - first.now == timedelta(seconds=40)
    world.travel(39)
    assert world.ledger.claim(incident, [PAGE]) is None
    world.travel(2)
    second = world.claim(incident)[1]
    assert int(second.token.split(".")[0]) > int(first.token.split(".")[0])


def test_a_stale_token_can_neither_save_nor_renew_nor_take_locks(world):
    incident = world.open()
    seen, stale = world.claim(incident)
    world.travel(41)
    world.claim(incident)
    with pytest.raises(Stale):
        world.ledger.save(Change(incident=seen.to(Phase.PROBE)), stale)
    with pytest.raises(Stale):
        world.ledger.renew(stale)
    with pytest.raises(Stale):
        world.ledger.take_locks(stale, [LockWanted(key="db-1")])
    assert world.ledger.incident(incident).phase is Phase.OPEN


def test_a_version_that_was_not_read_is_not_saved(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    with pytest.raises(Stale):
        world.ledger.save(Change(incident=seen.model_copy(update={"version": 7})), lease)


def test_the_same_save_twice_is_one(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    change = Change(incident=seen.to(Phase.PROBE))
    assert world.ledger.save(change, lease).version == 1
    with pytest.raises(Stale):
        world.ledger.save(change, lease)


def test_a_renewed_claim_lasts_on(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.travel(30)
    longer = world.ledger.renew(lease)
    world.travel(30)
    assert world.ledger.claim(incident, [PAGE]) is None
    assert world.ledger.save(Change(incident=seen.to(Phase.PROBE)), longer).phase is Phase.PROBE


def test_a_lapsed_claim_that_nobody_took_still_saves(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.travel(60)
    assert world.ledger.save(Change(incident=seen.to(Phase.PROBE)), lease).version == 1


def test_a_holder_that_is_killed_is_followed_when_its_lease_has_lapsed(world):
    incident = world.open()
    code = (
        "import sys, os, signal; from byteport.adapters.ledger import PostgresLedger;"
        "ledger = PostgresLedger(sys.argv[1]); claimed = ledger.claim(sys.argv[2], [sys.argv[3]]);"
        "os.kill(os.getpid(), signal.SIGKILL) if claimed else sys.exit(1)"
    )
    died = subprocess.run([sys.executable, "-c", code, world.url, incident, PAGE], check=False, timeout=60)
    assert died.returncode == -9
    assert world.ledger.claim(incident, [PAGE]) is None
    world.travel(41)
    assert [due.incident for due in world.ledger.wake_due()] == [incident]
    seen, lease = world.claim(incident)
    assert seen.claimed_in_vain == 2
    assert world.ledger.save(Change(incident=seen), lease).claimed_in_vain == 0


def test_claims_without_a_save_are_counted(world):
    incident = world.open()
    counted = []
    for _ in range(5):
        counted.append(world.claim(incident)[0].claimed_in_vain)
        world.travel(41)
    assert counted == [1, 2, 3, 4, 5]


def test_an_incident_comes_back_as_it_was_saved(world):
    incident = world.open()
    plan = Plan(
        steps=(
            Do(move="kick", action=Kick(), undo=Undo(action=Kick(), by=timedelta(hours=1.5))),
            Pause(length=timedelta(seconds=0.5)),
        )
    )
    saved = world.move(incident, plan=plan, cursor=1, reason="a\x00b", phase=Phase.ACT)
    again = world.ledger.incident(incident)
    assert again == saved
    assert again.plan == plan
    assert again.plan.digest == plan.digest
    assert again.reason == "a\ufffdb"


def test_an_incident_whose_plan_cannot_be_read_here_comes_without_it_and_escalates(world):
    incident = world.open()
    world.move(incident, plan=Plan(steps=(Do(move="kick", action=Kick()),)))
    world.sql("update byteport.incidents set state = jsonb_set(state, '{plan,steps,0,action,kind}', '\"gone:Gone\"')")
    seen, _ = world.claim(incident)
    assert seen.plan is None
    assert seen.claimed_in_vain >= 5
    assert "gone:Gone" in seen.reason


def test_the_sweeper_wakes_the_same_incident_only_every_ten_seconds(world):
    incident = world.open()
    assert [due.phase for due in world.ledger.wake_due()] == [Phase.OPEN]
    assert world.ledger.wake_due() == []
    world.travel(11)
    assert [due.incident for due in world.ledger.wake_due()] == [incident]
    world.move(incident, reason="moved")
    assert [due.incident for due in world.ledger.wake_due()] == [incident]


def test_sweepers_at_once_wake_each_incident_once(world):
    opened = {world.open(f"db-{n}") for n in range(20)}
    woken = race([lambda: [due.incident for due in world.ledger.wake_due()]] * 6)
    assert sorted(chain(*woken)) == sorted(opened)


def test_the_sweeper_leaves_alone_what_is_claimed_waiting_or_closed(world):
    claimed, waiting, closed = world.open("db-1"), world.open("db-2"), world.open("db-3")
    world.claim(claimed)
    seen, lease = world.claim(waiting)
    world.ledger.save(Change(incident=seen.due_in(timedelta(seconds=60), lease.now)), lease)
    world.move(closed, phase=Phase.CLOSED, ending="resolved")
    assert world.ledger.wake_due() == []


def test_a_driven_incident_is_moved_by_its_driver_alone(world):
    incident = world.open(driver="cli-1", driver_for=timedelta(seconds=60))
    assert world.ledger.claim(incident, [PAGE]) is None
    assert world.ledger.claim(incident, [PAGE], "cli-2") is None
    assert world.ledger.wake_due() == []
    assert world.claim(incident, "cli-1")[0].driver == "cli-1"


def test_a_driver_moves_nothing_else(world):
    assert world.ledger.claim(world.open(), [PAGE], "cli-1") is None


def test_the_fleet_takes_over_when_the_driver_has_gone(world):
    incident = world.open(driver="cli-1", driver_for=timedelta(seconds=60))
    seen, lease = world.claim(incident, "cli-1")
    world.travel(30)
    world.ledger.save(Change(incident=seen), lease)
    world.travel(45)
    assert world.ledger.claim(incident, [PAGE]) is None
    world.travel(20)
    assert [due.incident for due in world.ledger.wake_due()] == [incident]
    assert world.claim(incident)[0].driver == ""
    world.travel(41)
    assert world.ledger.claim(incident, [PAGE], "cli-1") is None


def test_a_connection_of_another_process_is_never_used(world):
    world.ledger.check()
    other = PostgresLedger(world.url)
    other.check()
    code = (
        "import os, sys; from byteport.adapters.ledger import PostgresLedger;"
        "ledger = PostgresLedger(sys.argv[1]); ledger.check(); pid = os.fork();"
        "ledger.check();"
        "os._exit(0) if pid == 0 else sys.exit(os.waitpid(pid, 0)[1] or (ledger.check() or 0))"
    )
    assert subprocess.run([sys.executable, "-c", code, world.url], check=False, timeout=60).returncode == 0
    other.close()
