"""Who held how much memory: what the ledger remembers of it, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.adapters.ledger.memory import KEPT
from byteport.testing.time_travel import travel

HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(ledger_url: str):
    migrate(ledger_url)
    one = PostgresLedger(ledger_url)
    yield one
    one.close()


def test_what_was_held_is_remembered_in_order(ledger, ledger_url):
    ledger.remember_memory("web1", {"shop.service": 100, "other": 5})
    travel(ledger_url, 600)
    ledger.remember_memory("web1", {"shop.service": 300})
    ledger.remember_memory("web2", {"shop.service": 9})
    seen = ledger.memory_of("web1", HOUR)
    assert seen.source == "BytePort's own looks"
    (first, before), (second, after) = seen.of("shop.service")
    assert (before, after, [held for _, held in seen.of("other")]) == (100, 300, [5])
    assert timedelta(minutes=10) <= second - first < timedelta(minutes=11)


def test_nothing_seen_is_not_nothing_held(ledger, ledger_url):
    assert ledger.memory_of("web1", HOUR) is None
    ledger.remember_memory("web1", {"shop.service": 100})
    travel(ledger_url, 3700)
    assert ledger.memory_of("web1", HOUR) is None
    assert ledger.memory_of("web1", 2 * HOUR).of("gone.service") == ()


def test_it_is_forgotten_after_some_hours(ledger, ledger_url):
    ledger.remember_memory("web1", {"shop.service": 100})
    travel(ledger_url, KEPT.total_seconds() + 60)
    ledger.remember_memory("web1", {"shop.service": 200})
    assert [held for _, held in ledger.memory_of("web1", 2 * KEPT).of("shop.service")] == [200]
