"""`guards list` and `guards reset` as people use them, on a ledger in which two incidents are at work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from byteport.adapters.ledger import PostgresLedger
from byteport.records.change import LockWanted
from tests.cli.conftest import Home
from tests.contracts.conftest import World, once

PLACES = LockWanted(key="remediations", exclusive=False, capacity=5, guard="max_concurrent_remediations")
KILLS, CEILING = "kills:server-1", "kills_per_incident"


@dataclass(frozen=True)
class AtWork:
    """An incident that has ended five of twenty sessions, holds its target, and takes one of five places."""

    world: World
    incident: str

    @property
    def ceiling(self) -> str:
        return f"{CEILING}:{self.incident}"


@pytest.fixture
def at_work(home: Home, ledger_url: str) -> Iterator[AtWork]:
    with closing(PostgresLedger(ledger_url)) as ledger:
        world = World(ledger_url, ledger)
        incident, lease = world.acting()
        claims = once(KILLS, limit=20, amount=5, per=600), once(f"{CEILING}:{incident}", limit=60, amount=5, per=0)
        world.begin(world.intent(incident, lease, *claims), lease)
        ledger.take_locks(lease, [LockWanted(key="database:db-1"), PLACES])
        yield AtWork(world, incident)


def test_each_guard_is_listed_with_holder_count_limit_and_time_left(home: Home, at_work: AtWork) -> None:
    told = home.run("guards", "list", "--json").json
    rows = {row["key"]: row for row in told["guards"]}
    figures = {key: (row["kind"], row["used"], row["limit"], row["holder"]) for key, row in rows.items()}
    assert figures == {
        KILLS: ("rate_limit", 5, 20, at_work.incident),
        at_work.ceiling: ("rate_limit", 5, 60, at_work.incident),
        "database:db-1": ("lock", 1, 1, at_work.incident),
        "remediations": ("capacity", 1, 5, at_work.incident),
    }
    assert 500 < rows[KILLS]["seconds_left"] <= 600
    assert rows[KILLS]["frees_at"] > told["now"]
    assert rows[at_work.ceiling]["seconds_left"] is None
    assert told["resets"] == []


def test_people_read_the_time_left_in_minutes_on_the_ledgers_clock(home: Home, at_work: AtWork) -> None:
    at_work.world.travel(200)
    lines = {line.split()[0]: line for line in home.run("guards", "list").out.splitlines() if line.strip()}
    assert re.search(rf"5 +20 +6 min( \d+ s)? +{at_work.incident}$", lines[KILLS])
    assert re.search(r"5 +60 +- +inc-", lines[at_work.ceiling])
    assert re.search(r"1 +5 +1[12] min", lines["remediations"])


def test_a_reset_needs_a_reason_that_is_kept_and_is_learnt_by_the_budgets(home: Home, at_work: AtWork) -> None:
    before = at_work.world.sql("select epoch from byteport.budgets_epoch")[0]["epoch"]
    assert home.run("guards", "reset", KILLS).code == 2
    assert home.run("guards", "reset", KILLS, "--why", "  ").code == 2
    ended = home.run("guards", "reset", KILLS, "--why", "the replica was rebuilt")
    assert (ended.code, ended.out) == (0, f"{KILLS}: 1 spend count no more\n")
    told = home.run("guards", "list", "--json").json
    assert KILLS not in {row["key"] for row in told["guards"]}
    assert [(r["key"], r["why"], r["spends"]) for r in told["resets"]] == [(KILLS, "the replica was rebuilt", 1)]
    assert told["resets"][0]["who"]
    assert "the replica was rebuilt" in home.run("guards", "list").out
    assert at_work.world.sql("select epoch from byteport.budgets_epoch")[0]["epoch"] > before


def test_what_cannot_be_reset_ends_with_2_and_says_why(home: Home, at_work: AtWork) -> None:
    for key, why in [
        ("nope", "a counter that is in use"),
        (at_work.ceiling, "the ceiling of one incident"),
        ("database:db-1", f"is a lock and held by {at_work.incident}"),
    ]:
        ended = home.run("guards", "reset", key, "--why", "because")
        assert (ended.code, why in ended.err) == (2, True), ended.err
    assert home.run("guards", "list", "--json").json["resets"] == []


def test_without_the_budgets_store_the_reset_is_kept_and_said_so(home: Home, at_work: AtWork, free_port: int) -> None:
    gone = {"BYTEPORT_BUDGETS_URL": f"redis://127.0.0.1:{free_port}"}
    ended = home.run("guards", "reset", KILLS, "--why", "because", **gone)
    assert (ended.code, "the reset is kept" in ended.err) == (1, True), ended.err
    assert len(home.run("guards", "list", "--json").json["resets"]) == 1
