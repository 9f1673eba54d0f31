from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.grammar.runbook import Runbook
from byteport.model.facts.memory import MIB
from byteport.runbooks.deploys.deploy_failure import RUNBOOK as DEPLOY_FAILURE
from byteport.runbooks.linux.disk_pressure_auto_cleanup import RUNBOOK as AUTO_CLEANUP
from byteport.runbooks.linux.memory_pressure_auto_recover import RUNBOOK as RECOVER
from tests import sentry_server
from tests.crowd import Crowd
from tests.github_server import running
from tests.pages.application import Desk
from tests.pages.clinic import KEY, Clinic
from tests.pages.full_disk import Scratch, Site, site
from tests.pages.oom import furnish
from tests.pages.pipeline import Pipeline
from tests.pages.saturated import Rack
from tests.pages.shelf import MAIL, SHOP, Shelf
from tests.pages.troubles import oldest
from tests.patients import Patient
from tests.servers import eventually


@pytest.fixture
def clinic(ledger_url: str, redis_url: str, patient: Callable[..., Patient]) -> Iterator[Clinic]:
    """Real stores, and a patient with 20 slots of which 3 are reserved."""
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    one = Clinic(ledger, budgets, None, ledger_url, patient=patient(max_connections=20), redis_url=redis_url)  # type: ignore[arg-type]
    yield one
    one.close()
    ledger.close()
    budgets.close()


@pytest.fixture
def crowd(clinic: Clinic) -> Iterator[Crowd]:
    """Clients of the clinic's patient."""
    with Crowd(clinic.patient.url) as people:
        yield people


@pytest.fixture
def backlog(clinic, crowd):
    """Four sessions that are to be ended."""
    leaked = crowd.idle_in_transaction(4)
    oldest(clinic, 300, 4)
    return leaked


@pytest.fixture
def queue(clinic, pgbouncer):
    """A pooler of four server connections, all taken, with clients that wait."""
    pooler = pgbouncer(clinic.patient, default_pool_size=4)
    clients = [psycopg.connect(pooler.url, prepare_threshold=None) for _ in range(4)]
    for one in clients:
        one.execute("SELECT 1")
    waiting = psycopg.connect(pooler.url, prepare_threshold=None, autocommit=True)
    waiting.pgconn.send_query(b"SELECT 1")
    clinic.put_before(pooler)
    eventually(lambda: clinic.reading.pooler.pools(KEY).longest_wait_seconds > 30)
    yield pooler
    for one in (*clients, waiting):
        one.close()


@pytest.fixture
def pipeline(ledger_url: str, redis_url: str) -> Iterator[Pipeline]:
    """Real stores, and a GitHub that behaves."""
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    with running() as (github, _store):
        yield Pipeline(ledger, budgets, None, ledger_url, redis_url, pages=(DEPLOY_FAILURE,), github=github)  # type: ignore[arg-type]
    ledger.close()
    budgets.close()


@pytest.fixture
def desk(ledger_url: str, redis_url: str) -> Iterator[Desk]:
    """Real stores, and a Sentry that behaves."""
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    with sentry_server.running() as sentry:
        yield Desk(ledger, budgets, None, ledger_url, redis_url, sentry=sentry)  # type: ignore[arg-type]
    ledger.close()
    budgets.close()


@pytest.fixture
def cleaning(ledger_url: str, redis_url: str) -> Iterator[Callable[..., Site]]:
    """A host with full disks, and the page that cleans them in order: cleaning({"/var": full()}, page=…)."""
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    with ExitStack() as running:

        def start(scratch: dict[str, Scratch] | None = None, page: Runbook = AUTO_CLEANUP, **more: Any) -> Site:
            return running.enter_context(site(page, ledger, budgets, ledger_url, redis_url, scratch, **more))

        yield start
    ledger.close()
    budgets.close()


@pytest.fixture
def rack(ledger_url: str, redis_url: str) -> Iterator[Rack]:
    """Real stores, and a host that behaves."""
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    yield Rack(ledger, budgets, None, ledger_url, redis_url)  # type: ignore[arg-type]
    ledger.close()
    budgets.close()


@pytest.fixture
def recovering(shelf: Shelf) -> Shelf:
    """The same for the page that recovers memory by a restart: the shop holds most of the memory."""
    shelf.pages, shelf.slug = (RECOVER,), RECOVER.name
    shelf.box.put(SHOP, 5200 * MIB)
    shelf.box.put(MAIL, 300 * MIB, label="")
    shelf.box.others = 2300 * MIB
    return shelf


@pytest.fixture
def shelf(ledger_url: str, redis_url: str) -> Iterator[Shelf]:
    """Real stores, and a host whose memory behaves."""
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    yield Shelf(ledger, budgets, None, ledger_url, redis_url)  # type: ignore[arg-type]
    ledger.close()
    budgets.close()


@pytest.fixture
def oom(shelf: Shelf) -> Shelf:
    """The same for the page on kills: the shop under a limit of its own."""
    return furnish(shelf)
