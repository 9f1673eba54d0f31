"""The database server is killed: what was begun is there, and so is everything that was decided before it."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.embedded import EmbeddedPostgres
from byteport.records.change import Change, LockWanted
from byteport.records.incident import Phase
from tests.contracts.conftest import PAGE, World, once
from tests.servers import roomy_folder


@pytest.fixture
def folder():
    with roomy_folder() as at:
        yield at


def killed(pid: int) -> None:
    """The postmaster and all of its, without a word to anybody: what was in its memory alone is lost."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for one in family:
        os.kill(one.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=10)


def test_what_was_begun_is_on_disk_with_all_that_was_decided_before_it(folder: Path) -> None:
    spec = EmbeddedPostgres(folder / "postgres")
    server = spec.start()
    migrate(server.url)
    world = World(server.url, PostgresLedger(server.url))
    incident = world.open()
    world.move(incident, phase=Phase.ACT)
    seen, lease = world.claim(incident)
    assert world.ledger.take_locks(lease, [LockWanted(key="service:shop")]) is None
    saved, kept = world.ledger.save_and_claim(Change(incident=seen.model_copy(update={"locked": True})), lease)
    intent = world.ledger.open_intent(world.new_intent(incident, once(), key="i1"), kept)
    world.ledger.begin_attempt(intent, kept, timedelta(seconds=5), "db_pool")
    killed(server.pid)
    world.ledger.close()
    again = spec.start()
    try:
        world = World(again.url, PostgresLedger(again.url))
        found = world.ledger.incident(incident)
        assert found is not None
        assert (found.version, found.locked, found.phase) == (saved.version, True, Phase.ACT)
        (begun,) = world.ledger.intents_of(incident)
        assert (begun.key, begun.attempts, begun.outcome) == ("i1", 1, None)
        assert [lock.key for lock in world.ledger.held_locks()] == ["service:shop"]
        assert world.ledger.verify_chain(incident) is None
        assert world.ledger.claim(incident, [PAGE]) is None  # its holder may be at it: the claim has to lapse
        world.ledger.close()
    finally:
        again.stop()


def test_what_was_only_decided_is_there_or_is_decided_again(folder: Path) -> None:
    """In either case the incident was taken in, its journal is whole, and somebody can go on."""
    spec = EmbeddedPostgres(folder / "postgres")
    server = spec.start()
    migrate(server.url)
    world = World(server.url, PostgresLedger(server.url))
    incident = world.open()
    world.move(incident, phase=Phase.CLASSIFY)
    killed(server.pid)
    world.ledger.close()
    again = spec.start()
    try:
        world = World(again.url, PostgresLedger(again.url))
        found = world.ledger.incident(incident)
        assert found is not None
        assert found.phase in (Phase.OPEN, Phase.CLASSIFY)
        assert world.ledger.verify_chain(incident) is None
        world.travel(41)
        assert world.ledger.claim(incident, [PAGE]) is not None
        world.ledger.close()
    finally:
        again.stop()
