"""Migrations, connections, and what a ledger that is not as it should be says."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.adapters.ledger.migrations import known_migrations
from byteport.errors import Permanent, Unavailable
from tests.contracts.conftest import race


def run(url: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text)
        return cursor.fetchall() if cursor.description else []


def test_migrations_are_numbered_without_gaps():
    assert [migration.number for migration in known_migrations()] == list(range(1, len(known_migrations()) + 1))


def test_migrating_twice_applies_everything_once(ledger_url):
    assert migrate(ledger_url) == [migration.name for migration in known_migrations()]
    assert migrate(ledger_url) == []


def test_migrating_from_everywhere_at_once_applies_everything_once(ledger_url):
    applied = race([lambda: migrate(ledger_url)] * 5)
    assert sorted(len(names) for names in applied) == [0, 0, 0, 0, len(known_migrations())]


def test_a_ledger_that_was_not_migrated_names_the_command(ledger_url):
    ledger = PostgresLedger(ledger_url)
    with pytest.raises(Permanent, match="byteport migrate"):
        ledger.check()
    migrate(ledger_url)
    ledger.check()
    ledger.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "delete from byteport.migrations where number = (select max(number) from byteport.migrations)",
            "byteport migrate",
        ),
        ("insert into byteport.migrations (number, name, digest) values (999, '0999_later.sql', 'x')", "newer release"),
        ("update byteport.migrations set digest = 'x' where number = 1", "another 0001_incidents.sql"),
    ],
)
def test_a_ledger_of_another_release_is_refused(ledger_url, change, told):
    migrate(ledger_url)
    run(ledger_url, change)
    ledger = PostgresLedger(ledger_url)
    with pytest.raises(Permanent, match=told):
        ledger.wake_due()
    ledger.close()


def test_a_migration_by_another_release_is_refused_and_changes_nothing(ledger_url):
    migrate(ledger_url)
    run(ledger_url, "update byteport.migrations set digest = 'x' where number = 1")
    with pytest.raises(Permanent):
        migrate(ledger_url)
    assert run(ledger_url, "select count(*) from byteport.migrations") == [(len(known_migrations()),)]


def test_a_ledger_out_of_reach_is_unavailable(world, tcp_proxy, postgres_server):
    door = tcp_proxy(postgres_server.port)
    ledger = PostgresLedger(door.through(world.url), patience=timedelta(seconds=1))
    ledger.check()
    door.cut()
    with pytest.raises(Unavailable):
        ledger.wake_due()
    with pytest.raises(Unavailable):
        ledger.admit(world.opening())
    assert world.ledger.listing() == []
    door.restore()
    assert ledger.admit(world.opening()).incident
    ledger.close()


def test_a_server_that_ended_all_sessions_is_reached_again(world):
    race([world.ledger.check] * 4)
    world.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'byteport-ledger'")
    assert world.ledger.admit(world.opening()).incident


def test_a_password_is_in_no_error(ledger_url, free_port):
    ledger = PostgresLedger(
        f"postgresql://byteport:hunter2secret@127.0.0.1:{free_port}/byteport", patience=timedelta(seconds=1)
    )
    with pytest.raises(Unavailable) as gone:
        ledger.check()
    assert "hunter2secret" not in str(gone.value)
    ledger.close()


def test_a_ledger_that_may_lose_commits_is_refused_for_live_work(world):
    world.sql("alter role current_user set synchronous_commit = 'on'")
    safe = PostgresLedger(world.url)
    safe.check_durable()
    safe.close()
    world.sql("alter role current_user set synchronous_commit = 'off'")
    unsafe = PostgresLedger(world.url)
    with pytest.raises(Permanent, match="synchronous_commit"):
        unsafe.check_durable()
    unsafe.close()
    world.sql("alter role current_user reset synchronous_commit")


def test_the_ledgers_sessions_have_limits_and_a_name(world):
    world.ledger.check()
    (row,) = world.ledger.rows(
        """
        select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
               current_setting('idle_in_transaction_session_timeout') as idle, current_setting('timezone') as zone,
               current_setting('application_name') as name
        """
    )
    assert row == {"statement": "15s", "lock": "5s", "idle": "30s", "zone": "UTC", "name": "byteport-ledger"}
