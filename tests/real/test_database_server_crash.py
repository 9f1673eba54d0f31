"""The database server is killed: what was begun is there, and so is everything that was decided before it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import psutil
import pytest

from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.embedded import EmbeddedPostgres, RunningPostgres
from byteport.records.change import Change, LockWanted
from byteport.records.incident import Phase
from tests.contracts.conftest import PAGE, World, once
from tests.servers import roomy_folder


@dataclass
class Ledger:
    """A ledger on a server of its own, with fsync as `byteport up` has it. `world` is how it is reached now."""

    spec: EmbeddedPostgres
    server: RunningPostgres
    world: World

    def crash(self) -> World:
        """Kill the server, start it again on what reached the disk."""
        killed(self.server.pid)
        self.world.ledger.close()
        self.server = self.spec.start()
        self.world = World(self.server.url, PostgresLedger(self.server.url))
        return self.world


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with roomy_folder() as folder:
        spec = EmbeddedPostgres(folder / "postgres")
        server = spec.start()
        migrate(server.url)
        made = Ledger(spec, server, World(server.url, PostgresLedger(server.url)))
        yield made
        made.world.ledger.close()
        made.server.stop()


def killed(pid: int) -> None:
    """The postmaster and all of its, without a word to anybody: what was in its memory alone is lost."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for one in family:
        os.kill(one.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=10)


def test_what_was_begun_is_on_disk_with_all_that_was_decided_before_it(ledger: Ledger) -> None:
    world = ledger.world
    incident = world.open()
    world.move(incident, phase=Phase.ACT)
    seen, lease = world.claim(incident)
    assert world.ledger.take_locks(lease, [LockWanted(key="service:shop")]) is None
    going_on = world.ledger.save_and_claim(Change(incident=seen.model_copy(update={"locked": True})), lease)
    saved, kept = going_on.incident, going_on.lease
    intent = world.ledger.open_intent(world.new_intent(incident, once(), key="i1"), kept)
    world.ledger.begin_attempt(intent, kept, timedelta(seconds=5), "db_pool")
    world = ledger.crash()
    found = world.ledger.incident(incident)
    assert found is not None
    assert (found.version, found.locked, found.phase) == (saved.version, True, Phase.ACT)
    (begun,) = world.ledger.intents_of(incident)
    assert (begun.key, begun.attempts, begun.outcome) == ("i1", 1, None)
    assert [lock.key for lock in world.ledger.held_locks()] == ["service:shop"]
    assert world.ledger.verify_chain(incident) is None
    assert world.ledger.claim(incident, [PAGE]) is None  # its holder may be at it: the claim has to lapse


def test_what_was_only_decided_is_there_or_is_decided_again(ledger: Ledger) -> None:
    """In either case the incident was taken in, its journal is whole, and somebody can go on."""
    incident = ledger.world.open()
    ledger.world.move(incident, phase=Phase.CLASSIFY)
    world = ledger.crash()
    found = world.ledger.incident(incident)
    assert found is not None
    assert found.phase in (Phase.OPEN, Phase.CLASSIFY)
    assert world.ledger.verify_chain(incident) is None
    world.travel(41)
    assert world.ledger.claim(incident, [PAGE]) is not None
