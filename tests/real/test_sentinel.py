"""Redis Sentinel fails over to a replica that never got the last writes: nothing is overspent, no lock has two."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.errors import BadConfiguration, Unavailable
from byteport.grammar.guards import Budget
from byteport.grammar.runbook import Move
from byteport.grammar.verdict import Claim
from byteport.model.units import hours
from byteport.records.incident import Phase
from byteport.settings import Settings
from tests.sentinels import PASSWORD, Sentinels, sentinels
from tests.servers import eventually
from tests.ward import pages
from tests.ward.patient import Ward
from tests.ward.world import World, race

SHARED = "ward turns"
TWO_A_DAY = Budget(name="two_a_day", limit=2, per=hours(24), counter="turns", scope=lambda _action: SHARED)
KEY = f"turns:{SHARED}"
SPARSE = tuple(
    pages.page(f"ward_sparse_{n}", pages.one, moves=(Move("pulse", pages.Pulse, (TWO_A_DAY,)), pages.SET, pages.BATCH))
    for n in range(6)
)


@pytest.fixture
def cluster(server_folder: Path) -> Iterator[Sentinels]:
    with sentinels(server_folder / f"sentinels-{os.urandom(4).hex()}") as running:
        yield running


@pytest.fixture
def world(ledger_url: str, cluster: Sentinels) -> Iterator[World]:
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(cluster.url)
    ward = Ward(ledger_url)
    ward.prepare()
    yield World(ledger, budgets, ward, ledger_url, cluster.url, pages=(*pages.ALL, *SPARSE))
    ledger.close()
    budgets.close()


def used(world: World) -> int:
    """What Redis itself remembers of the budget."""
    (count,) = world.budgets.counts([Claim.window(KEY, limit=2, per=hours(24), guard="two_a_day")])
    return int(count.used)


def answers(world: World) -> bool:
    try:
        return bool(world.budgets.epoch() > 0)
    except Unavailable:
        return False


def guards_of(world: World, incident: str) -> set[Any]:
    return {verdict["guard"] for verdict in world.verdicts(incident)}


def test_a_failover_that_loses_spends_overspends_nothing(world: World, cluster: Sentinels) -> None:
    assert world.run(world.open("ward_one", "v0")).ending == "resolved"  # the epoch stands on both servers
    cluster.all_caught_up()
    cluster.cut_off_replica()
    for n in (1, 2):
        assert world.run(world.open(f"ward_sparse_{n}", f"v{n}")).ending == "resolved"
    assert used(world) == 2
    epoch = world.budgets.epoch()

    cluster.kill_master()
    eventually(lambda: answers(world), within=30, every=0.1)
    assert world.budgets.epoch() == epoch, "the replica carries the valid epoch, so Redis grants without a doubt"
    assert used(world) == 0, "the spends were lost, else this proves nothing"

    late = [world.open(f"ward_sparse_{n}", f"v{n}") for n in (3, 4, 5)]
    race([lambda incident=incident: world.run(incident) for incident in late])
    assert [world.ward.effects(f"v{n}") for n in (3, 4, 5)] == [[], [], []]
    assert len(world.ward.effects()) == 3
    assert all(world.run(incident).phase is Phase.ESCALATE for incident in late)
    assert len(world.ward.effects()) == 3
    assert all("two_a_day" in guards_of(world, incident) for incident in late)
    assert world.budgets.epoch() > epoch, "Redis was rebuilt from the ledger"
    assert used(world) == 2
    assert world.run(world.open("ward_one", "v9")).ending == "resolved"  # another budget is not touched by it


def test_a_reservation_made_before_the_failover_cannot_be_spent_twice_after_it(
    world: World, cluster: Sentinels
) -> None:
    """Two intents hold a grant of the same last unit: one of the lost master, one of the new. The ledger opens one."""
    assert world.run(world.open("ward_sparse_0", "v0")).ending == "resolved"
    cluster.all_caught_up()
    cluster.cut_off_replica()
    last = [Claim.window(KEY, limit=2, per=hours(24), guard="two_a_day")]
    assert world.budgets.reserve("somebody's", last).granted
    assert not world.budgets.reserve("another's", last).granted

    cluster.kill_master()
    eventually(lambda: answers(world), within=30, every=0.1)
    assert world.budgets.reserve("another's", last).granted, "the reservation was lost, else this proves nothing"
    world.budgets.give_back("another's")
    rivals = [world.open(f"ward_sparse_{n}", f"v{n}") for n in (1, 2, 3)]
    race([lambda incident=incident: world.run(incident) for incident in rivals])
    assert len(world.ward.effects()) == 2
    assert world.ward.doubled() == []


def test_a_lock_outlives_the_failover_and_is_never_held_by_two(world: World, cluster: Sentinels) -> None:
    holder = world.open("ward_several", "v1")
    for _ in range(40):
        world.step(holder)
        if world.ward.effects("v1"):
            break
    assert world.now(holder).locked
    before = len(world.ward.effects("v1"))
    cluster.cut_off_replica()
    cluster.kill_master()
    eventually(lambda: answers(world), within=30, every=0.1)

    rival = world.open("ward_one", "v1")
    for _ in range(20):
        world.step(rival)
    assert {lock.incident for lock in world.ledger.held_locks() if lock.key == "service:v1"} == {holder}
    assert len(world.ward.effects("v1")) == before, "the rival waits"
    assert world.run(holder).ending == "resolved"
    assert world.ward.doubled() == []


def test_while_no_master_is_named_nothing_is_granted(world: World, cluster: Sentinels) -> None:
    world.budgets.close()
    world.budgets = RedisBudgets(cluster.url.replace("/budgets", "/nobody"))
    incident = world.run(world.open("ward_one"))
    assert incident.phase is Phase.ESCALATE
    assert guards_of(world, incident.id) == {"budgets_store"}
    assert world.ward.effects() == []


def test_a_sentinel_url_is_a_setting_and_its_password_is_never_quoted(cluster: Sentinels) -> None:
    settings = Settings(broker_url="redis://127.0.0.1:1", budgets_url=cluster.url)
    budgets = RedisBudgets(settings.budgets_dsn)
    budgets.check()
    budgets.close()
    with pytest.raises(BadConfiguration) as wrong:
        RedisBudgets(f"sentinel://:{PASSWORD}@127.0.0.1:1/")
    assert PASSWORD not in str(wrong.value)
