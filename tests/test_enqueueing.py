"""`from byteport import Signal, enqueue`: a signal put in from Python is stored, or an error says why not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from byteport import Severity, Signal, Target, enqueue
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.errors import BadConfiguration, BadSignal, Unavailable
from byteport.model.target import TargetKind
from byteport.settings import Settings


def a_signal(**changes: object) -> Signal:
    return Signal.model_validate(
        {
            "name": "db_pool_exhausted",
            "source": "python",
            "target": Target(kind=TargetKind.DATABASE, key="db1/shop", within=("db1",)),
            "fired_at": datetime.now(UTC),
            "severity": Severity.CRITICAL,
            **changes,
        }
    )


@pytest.fixture
def settings(ledger_url: str, redis_url: str) -> Settings:
    migrate(ledger_url)
    return Settings.model_validate({"database_url": ledger_url, "broker_url": redis_url})


def test_it_returns_the_incident_that_the_ledger_has(settings: Settings) -> None:
    incident = enqueue(a_signal(), settings)
    again = enqueue(a_signal(), settings)
    ledger = PostgresLedger(settings.ledger_dsn)
    stored = ledger.incident(incident)
    ledger.close()
    assert stored is not None
    assert (again, stored.signals_seen) == (incident, 2)


def test_a_resolved_signal_opens_nothing(settings: Settings) -> None:
    assert enqueue(a_signal(resolved=True), settings) == ""
    ledger = PostgresLedger(settings.ledger_dsn)
    assert ledger.listing() == []
    ledger.close()


def test_a_signal_that_nobody_claims_is_an_error_naming_the_field(settings: Settings) -> None:
    with pytest.raises(BadSignal, match="name: 'nobody_knows'"):
        enqueue(a_signal(name="nobody_knows"), settings)


def test_without_a_ledger_nothing_pretends_to_be_stored(free_port: int) -> None:
    url = f"postgresql://byteport@127.0.0.1:{free_port}/byteport"
    with pytest.raises(Unavailable):
        enqueue(a_signal(), Settings.model_validate({"database_url": url, "broker_url": "redis://127.0.0.1:1"}))
    with pytest.raises(BadConfiguration, match="database_url"):
        enqueue(a_signal(), Settings())


def test_an_option_that_loosens_a_limit_stops_it_at_the_start(settings: Settings) -> None:
    loose = {"db_connection_pool_exhaustion": {"options": {"kills_per_minute_cap": 500}}}
    wrong = Settings.model_validate(
        {"database_url": settings.ledger_dsn, "broker_url": settings.broker_dsn, "runbooks": loose}
    )
    with pytest.raises(BadConfiguration, match="at most 20"):
        enqueue(a_signal(), wrong)
