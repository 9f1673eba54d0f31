from __future__ import annotations

from collections.abc import Iterator

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.ledger import PostgresLedger, migrate
from tests.ward.patient import Ward
from tests.ward.world import World


@pytest.fixture
def world(ledger_url: str, redis_url: str) -> Iterator[World]:
    """A real ledger, real budgets, and a ward whose own table counts what was done."""
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    ward = Ward(ledger_url)
    ward.prepare()
    yield World(ledger, budgets, ward, ledger_url, redis_url)
    ledger.close()
    budgets.close()
