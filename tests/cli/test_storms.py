"""`byteport storm`, and `byteport incidents approve`: what people say, on a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from byteport.adapters.ledger import PostgresLedger
from byteport.model.signal import Mode, Signal
from byteport.model.target import Target, TargetKind
from byteport.stores_signals import Opening
from tests.cli.conftest import SLUG, Home

MANY = 25


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[PostgresLedger]:
    one = PostgresLedger(ledger_url)
    yield one
    one.close()


def storm(ledger: PostgresLedger) -> None:
    for number in range(MANY):
        target = Target(kind=TargetKind.DATABASE, key=f"db{number}/shop")
        told = Signal(name="db_pool_exhausted", source="test", fired_at=datetime.now(UTC), target=target)
        ledger.admit(Opening(signal=told, runbook=SLUG, page="p", mode=Mode.DRY_RUN))
    ledger.tend_storms([SLUG], (timedelta(minutes=15),), lambda _storm: ())


def test_a_storm_is_listed_and_ended_by_a_person(home: Home, ledger: PostgresLedger):
    assert "no storm" in home.run("storm", "list").out
    storm(ledger)
    (row,) = home.run("storm", "list", "--json").json
    assert (row["runbook"], row["incidents"], row["left"], row["is_over"]) == (SLUG, MANY, MANY, False)
    assert "goes on" in home.run("storm", "list").out
    assert ledger.standing("", SLUG, Target(kind=TargetKind.DATABASE, key="x/y")).storm != ""
    assert home.run("storm", "end", SLUG.replace("_", "-"), "--json").json == {"ended": SLUG}
    assert ledger.standing("", SLUG, Target(kind=TargetKind.DATABASE, key="x/y")).storm == ""
    again = home.run("storm", "end", SLUG)
    assert again.code == 2
    assert "is in none" in again.err
    assert "over" in home.run("storm", "list").out


@pytest.mark.parametrize("runbook", [SLUG, "nobody"])
def test_what_is_in_no_storm_cannot_be_ended(home: Home, runbook):
    answer = home.run("storm", "end", runbook)
    assert answer.code == 2
    assert runbook in answer.err


def test_what_asks_for_nothing_cannot_be_approved(home: Home, ledger: PostgresLedger):
    target = Target(kind=TargetKind.DATABASE, key="db1/shop")
    told = Signal(name="db_pool_exhausted", source="test", fired_at=datetime.now(UTC), target=target)
    incident = ledger.admit(Opening(signal=told, runbook=SLUG, page="p", mode=Mode.APPROVE)).incident
    assert home.run("incidents", "approve", incident, "--why", "looks right").code == 2
    assert home.run("incidents", "approve", "inc-nobody", "--why", "x").code == 2
    found = ledger.incident(incident)
    assert found is not None
    assert found.command == ""
