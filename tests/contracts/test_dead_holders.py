"""The claim of a process that is dead for certain ends at once, but not before what it had begun must be over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from byteport.records.change import Change
from tests.contracts.conftest import PAGE, World

CLAIMS = """
import sys
from byteport.adapters.ledger import PostgresLedger
ledger = PostgresLedger(sys.argv[1])
print(ledger.claim(sys.argv[2], [sys.argv[3]])[1].model_dump_json(), flush=True)
sys.stdin.read()
"""
Holder = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def holder(world: World):
    """holder(incident): another process that has claimed it."""
    started: list[subprocess.Popen[str]] = []

    def claims(incident: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", CLAIMS, world.url, incident, PAGE]
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    yield claims
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("dead", [True, False])
def test_only_of_the_dead(world: World, holder: Holder, dead: bool) -> None:
    incident = world.open()
    process = holder(incident)
    if dead:
        process.kill()
        process.wait(timeout=10)
    assert [due.incident for due in world.ledger.end_claims_of_the_dead()] == ([incident] if dead else [])
    assert (world.ledger.claim(incident, [PAGE]) is not None) is dead


def test_not_of_this_process_nor_of_another_machine(world: World, holder: Holder) -> None:
    ours, far = world.open("db-1"), world.open("db-2")
    world.claim(ours)
    holder(far).kill()
    world.sql("update byteport.incidents set claimed_by = 'another-boot' || claimed_by where id = %s", far)
    assert world.ledger.end_claims_of_the_dead() == []
    assert world.ledger.claim(far, [PAGE]) is None


def test_an_attempt_of_which_nobody_knows_how_long_it_lasts_keeps_its_claim(world: World, holder: Holder) -> None:
    """As an older release began it."""
    incident, lease = world.acting()
    intent = world.begin(world.intent(incident, lease), lease, timeout=20)
    world.ledger.save(Change(incident=world.ledger.incident(incident)), lease)
    world.sql("update byteport.intents set attempt_until = null where key = %s", intent.key)
    process = holder(incident)
    process.kill()
    process.wait(timeout=10)
    assert world.ledger.end_claims_of_the_dead() == []
    world.travel(35)
    assert world.ledger.claim(incident, [PAGE]) is None
    world.travel(6)
    assert world.ledger.claim(incident, [PAGE]) is not None


def test_who_comes_next_waits_until_the_attempt_of_the_dead_must_be_over(world: World, holder: Holder) -> None:
    incident, lease = world.acting()
    intent = world.begin(world.intent(incident, lease), lease, timeout=20)
    world.ledger.save(Change(incident=world.ledger.incident(incident)), lease)
    process = holder(incident)
    process.kill()
    process.wait(timeout=10)
    assert world.ledger.end_claims_of_the_dead() == []
    assert world.ledger.claim(incident, [PAGE]) is None
    world.travel(23)  # its time-out, and 2 s
    assert world.ledger.claim(incident, [PAGE]) is not None
    assert world.ledger.find_intent(intent.key).attempts == 1
