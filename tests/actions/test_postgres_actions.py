"""The actions on sessions, on a real PostgreSQL: when they hold, what they count, and that they may be repeated."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from byteport.actions.postgres import CancelStatements, EndIdleSessions, EndStatements
from byteport.adapters.postgres import PostgresDatabases, acting_login, kept
from byteport.adapters.postgres_sessions import PostgresSessions
from byteport.grammar.action import Effect, dump_action, load_action
from tests.crowd import Crowd, is_alive, ref_of
from tests.servers import eventually

DB = "patient/app"


@dataclass
class Marks:
    """An intent, as far as an action may know it."""

    key: str = "i1"
    attempts: int = 1
    effect: Effect | None = None
    pre_state: dict[str, Any] = field(default_factory=dict)


@dataclass
class Ports:
    database: PostgresDatabases
    sessions: PostgresSessions


@pytest.fixture
def ill(patient):
    return patient(max_connections=20)


@pytest.fixture
def ports(ill):
    connection = kept(acting_login(DB, ill.role("hand", member_of=("pg_monitor", "pg_signal_backend"))))
    yield Ports(PostgresDatabases({DB: connection}), PostgresSessions({DB: connection}))
    connection.close()


@pytest.fixture
def crowd(ill):
    with Crowd(ill.url) as people:
        yield people


def ending(ill, *people, **more) -> EndIdleSessions:
    refs = tuple(ref_of(ill, one).with_(query_start=None) for one in people)
    return EndIdleSessions(database=DB, server="patient", sessions=refs, idle_for=timedelta(0), **more)


def test_it_holds_when_the_sessions_are_gone_and_says_how_many_it_ended(ports, ill, crowd):
    action, intent = ending(ill, *crowd.idle_in_transaction(3)), Marks()
    assert len(action.look_before(ports)["there"]) == 3
    assert not action.holds(ports, intent)
    intent.effect = action.apply(ports, intent)
    assert (intent.effect.count, intent.effect.note) == (3, "end sessions idle in transaction: 3 ended")
    assert action.holds(ports, intent)


def test_who_was_let_be_does_not_keep_it_from_holding(ports, ill, crowd):
    gone, stays = crowd.idle_in_transaction(2)
    action, intent = ending(ill, gone, stays), Marks()
    stays.execute("COMMIT")
    intent.effect = action.apply(ports, intent)
    assert (intent.effect.count, intent.effect.note) == (1, "end sessions idle in transaction: 1 changed, 1 ended")
    assert action.holds(ports, intent)
    assert is_alive(stays)


def test_repeated_after_a_crash_it_reaches_nobody_else_and_counts_those_that_are_gone(ports, ill, crowd):
    action = ending(ill, *crowd.idle_in_transaction(2))
    action.apply(ports, Marks())  # the answer to this one was lost
    crowd.idle_in_transaction(2)
    again = action.apply(ports, Marks(attempts=2))
    assert (again.count, again.note) == (2, "end sessions idle in transaction: 2 gone")
    assert sum(is_alive(one) for one in crowd.people) == 2


def test_a_first_attempt_never_claims_those_that_went_by_themselves(ports, ill, crowd):
    one, other = crowd.idle_in_transaction(2)
    action = ending(ill, one, other)
    one.close()
    eventually(lambda: len(action.look_before(ports)["there"]) == 1)
    assert action.apply(ports, Marks()).count == 1


def test_who_had_written_is_named_one_by_one(ports, ill, crowd):
    ill.run("CREATE TABLE stock (n int)")
    ill.run("GRANT ALL ON stock TO byteport")
    ill.run("INSERT INTO stock VALUES (1)")
    (holder,) = crowd.idle_in_transaction(1, doing="UPDATE stock SET n = 2")
    crowd.busy("UPDATE stock SET n = 3")
    eventually(lambda: ill.run("SELECT 1 AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    action = ending(ill, holder)
    assert action.apply(ports, Marks()).note.endswith(f"had written and blocked others: {action.sessions[0]}")


def test_its_words_spare_whom_they_name(ports, ill, crowd):
    (one,) = crowd.idle_in_transaction(1, "pgbouncer")
    effect = ending(ill, one, spared=("pgbouncer",)).apply(ports, Marks())
    assert (effect.count, effect.note) == (0, "end sessions idle in transaction: 1 spared")
    assert is_alive(one)


def test_a_cancel_is_done_when_it_was_asked_and_the_stubborn_are_ended_afterwards(ports, ill, crowd):
    ill.run(
        "CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$BEGIN FOR i IN 1..30 LOOP BEGIN"
        " PERFORM pg_sleep(1); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END$$"
    )
    one = crowd.busy("SELECT stubborn()")
    pid = one.info.backend_pid
    eventually(lambda: ill.run("SELECT 1 AS n FROM pg_stat_activity WHERE pid = %s AND state = 'active'", pid))
    told = {"database": DB, "server": "patient", "sessions": (ref_of(ill, one),)}
    cancel, terminate, intent = CancelStatements(**told), EndStatements(**told), Marks()
    assert not cancel.holds(ports, intent)
    intent.effect = cancel.apply(ports, intent)
    assert intent.effect.note == "cancel statements: 1 signalled"
    assert cancel.holds(ports, intent)
    assert not terminate.holds(ports, Marks())
    assert terminate.apply(ports, Marks()).count == 1
    eventually(lambda: crowd.ended == ["AdminShutdown"])


def test_a_batch_is_narrowed_from_its_end_and_survives_storage(ill, crowd):
    action = ending(ill, *crowd.idle_in_transaction(3), spared=("pgbouncer",))
    assert (action.amount, action.first(2).amount) == (3, 2)
    assert action.first(2).sessions == action.sessions[:2]
    assert load_action(dump_action(action)) == action
    assert action.preview(None).startswith("end sessions idle in transaction: 3 of patient/app: pid ")
