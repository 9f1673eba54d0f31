"""Ending and cancelling sessions of a real PostgreSQL: what is reached, and what never is."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from byteport.adapters.postgres import acting_login, kept
from byteport.adapters.postgres_sessions import PostgresSessions
from byteport.errors import Denied, Permanent, Transient
from byteport.model.facts.database import SessionRef
from byteport.ports_database import Spared
from tests.crowd import Crowd, is_alive, ref_of
from tests.servers import eventually

DB = "patient/app"
NOW = timedelta(0)
NOBODY = Spared()


@pytest.fixture
def ill(patient):
    return patient(max_connections=20)


@pytest.fixture
def hand(ill):
    url = ill.role("hand", member_of=("pg_monitor", "pg_signal_backend"))
    sessions = PostgresSessions({DB: kept(acting_login(DB, url))})
    yield sessions
    sessions.close()


@pytest.fixture
def crowd(ill):
    with Crowd(ill.url) as people:
        yield people


def session_of(ill, one) -> SessionRef:
    return ref_of(ill, one).with_(query_start=None)


def fates(answer) -> list[str]:
    return [fate.fate for fate in answer]


def running(ill, one) -> SessionRef:
    """The statement that it runs now."""
    pid = one.info.backend_pid
    eventually(lambda: ill.run("SELECT 1 AS n FROM pg_stat_activity WHERE pid = %s AND state = 'active'", pid))
    return ref_of(ill, one)


# ── what is ended ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sessions_idle_in_transaction_are_ended_in_one_statement(hand, ill, crowd):
    leaked = crowd.idle_in_transaction(3)
    bystander = crowd.join("bystander")
    told = hand.end_idle(DB, tuple(session_of(ill, one) for one in leaked), NOW, NOBODY)
    assert fates(told) == ["ended"] * 3
    assert [is_alive(one) for one in leaked] == [False] * 3
    assert is_alive(bystander)


def test_a_failed_transaction_that_idles_is_ended_too(hand, ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    with pytest.raises(psycopg.errors.DivisionByZero):
        one.execute("SELECT 1/0")
    assert fates(hand.end_idle(DB, (session_of(ill, one),), NOW, NOBODY)) == ["ended"]


def test_a_session_that_wrote_and_blocks_others_is_ended_and_says_so(hand, ill, crowd):
    ill.run("CREATE TABLE stock (id int PRIMARY KEY, n int)")
    ill.run("GRANT ALL ON stock TO byteport")
    ill.run("INSERT INTO stock VALUES (1, 1)")
    (holder,) = crowd.idle_in_transaction(1, doing="UPDATE stock SET n = 2")
    waiter = crowd.busy("UPDATE stock SET n = 3")
    eventually(lambda: ill.run("SELECT 1 AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    (told,) = hand.end_idle(DB, (session_of(ill, holder),), NOW, NOBODY)
    assert (told.fate, told.has_written) == ("ended", True)
    eventually(lambda: "done" in crowd.ended)
    assert is_alive(waiter)


def test_a_statement_is_cancelled_and_its_session_stays(hand, ill, crowd):
    one = crowd.busy("SELECT pg_sleep(600)")
    assert fates(hand.cancel(DB, (running(ill, one),), NOBODY)) == ["ended"]
    eventually(lambda: "QueryCanceled" in crowd.ended)
    assert is_alive(one)


def test_a_session_is_ended_while_it_runs_that_very_statement(hand, ill, crowd):
    one = crowd.busy("SELECT pg_sleep(600)")
    assert fates(hand.end_statement(DB, (running(ill, one),), NOBODY)) == ["ended"]
    eventually(lambda: "AdminShutdown" in crowd.ended)


def test_a_session_that_does_not_go_at_once_is_reported_as_signalled(hand, ill, crowd):
    # a function that swallows every cancellation: the signal was sent, the statement still runs
    ill.run(
        "CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$BEGIN FOR i IN 1..30 LOOP BEGIN"
        " PERFORM pg_sleep(1); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END$$"
    )
    one = crowd.busy("SELECT stubborn()")
    ref = running(ill, one)
    assert fates(hand.cancel(DB, (ref,), NOBODY)) == ["signalled"]
    assert fates(hand.end_statement(DB, (ref,), NOBODY)) == ["ended"]


def test_ending_the_same_session_twice_is_harmless(hand, ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    ref = session_of(ill, one)
    assert fates(hand.end_idle(DB, (ref,), NOW, NOBODY)) == ["ended"]
    assert fates(hand.end_idle(DB, (ref,), NOW, NOBODY)) == ["gone"]


# ── what never is ────────────────────────────────────────────────────────────────────────────────────────────────────


def refuses(hand, ill, one, fate, *, idle_for=NOW, spared=NOBODY, ref=None):
    told = hand.end_idle(DB, (ref or session_of(ill, one),), idle_for, spared)
    assert fates(told) == [fate]
    assert is_alive(one)


def test_a_superuser_is_never_ended(hand, ill, crowd):
    (one,) = crowd.idle_in_transaction(1, url=ill.role("root", superuser=True))
    refuses(hand, ill, one, "superuser")


def test_a_superuser_is_never_ended_even_by_a_superuser(ill, crowd):
    (one,) = crowd.idle_in_transaction(1, url=ill.role("root", superuser=True))
    almighty = PostgresSessions({DB: kept(acting_login(DB, ill.superuser_url))})
    refuses(almighty, ill, one, "superuser")
    almighty.close()


@pytest.mark.parametrize("word", ["byteport", "BYTEPORT", "admin-proxy", "Admin", "127.0.0.1", "127.0.0.0/8"])
def test_a_spared_user_application_or_address_is_never_ended(hand, ill, crowd, word):
    (one,) = crowd.idle_in_transaction(1, "admin-proxy 2.1")
    refuses(hand, ill, one, "spared", spared=Spared(words=("x", word)))


@pytest.mark.parametrize("word", ["", " ", "byte", "proxy", "10.0.0.0/8", "127.0.0.2", "%", "_dmin"])
def test_a_word_that_names_nobody_spares_nobody(hand, ill, crowd, word):
    (one,) = crowd.idle_in_transaction(1, "admin-proxy")
    told = hand.end_idle(DB, (session_of(ill, one),), NOW, Spared(words=(word,)))
    assert fates(told) == ["ended"]


def test_words_are_data_and_never_sql(hand, ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    word = "x') OR pg_terminate_backend(pid) --"
    (bystander,) = crowd.idle_in_transaction(1, "bystander")
    assert fates(hand.end_idle(DB, (session_of(ill, one),), NOW, Spared(words=(word,)))) == ["ended"]
    assert is_alive(bystander)


def test_a_session_that_wrote_and_blocks_nobody_is_never_ended(hand, ill, crowd):
    ill.run("CREATE TABLE notes (n int)")
    ill.run("GRANT ALL ON notes TO byteport")
    (one,) = crowd.idle_in_transaction(1, doing="INSERT INTO notes VALUES (1)")
    refuses(hand, ill, one, "has_written")


def test_a_statement_that_writes_and_blocks_nobody_is_never_cancelled(hand, ill, crowd):
    ill.run("CREATE TABLE notes (n int)")
    ill.run("GRANT ALL ON notes TO byteport")
    (one,) = crowd.idle_in_transaction(1, doing="INSERT INTO notes VALUES (1)")
    other = crowd.busy("WITH w AS (INSERT INTO notes VALUES (2) RETURNING n) SELECT pg_sleep(600) FROM w")
    ref = running(ill, other)
    eventually(lambda: ill.run("SELECT 1 AS n FROM pg_stat_activity WHERE pid=%s AND backend_xid IS NOT NULL", ref.pid))
    assert fates(hand.cancel(DB, (ref,), NOBODY)) == ["has_written"]
    assert crowd.ended == []
    assert is_alive(one)


def test_an_index_in_the_making_counts_as_written(hand, ill, crowd):
    ill.run("CREATE TABLE big (n int)")
    ill.run("ALTER TABLE big OWNER TO byteport")
    crowd.idle_in_transaction(1, "snapshot", doing="INSERT INTO big VALUES (1)")
    builder = crowd.busy("CREATE INDEX CONCURRENTLY ON big (n)", "migrations")
    eventually(lambda: ill.run("SELECT 1 AS n FROM pg_stat_progress_create_index"))
    assert fates(hand.cancel(DB, (running(ill, builder),), NOBODY)) == ["has_written"]
    assert crowd.ended == []


def test_a_pid_that_belongs_to_another_session_by_now_is_never_ended(hand, ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    ref = session_of(ill, one)
    refuses(hand, ill, one, "gone", ref=ref.with_(backend_start=ref.backend_start - timedelta(microseconds=1)))


def test_a_session_that_went_back_to_work_is_never_ended(hand, ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    ref = session_of(ill, one)
    one.execute("COMMIT")
    refuses(hand, ill, one, "changed", ref=ref)


def test_a_session_that_has_not_idled_for_long_enough_is_never_ended(hand, ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    refuses(hand, ill, one, "changed", idle_for=timedelta(seconds=300))


def test_another_statement_of_the_same_session_is_never_cancelled_or_ended(hand, ill, crowd):
    one = crowd.busy("SELECT pg_sleep(600)")
    ref = running(ill, one)
    earlier = ref.with_(query_start=ref.query_start - timedelta(microseconds=1))
    assert fates(hand.cancel(DB, (earlier,), NOBODY)) == ["changed"]
    assert fates(hand.end_statement(DB, (earlier,), NOBODY)) == ["changed"]
    assert crowd.ended == []


def test_a_statement_is_never_named_by_its_session_alone(hand, ill, crowd):
    one = crowd.busy("SELECT pg_sleep(600)")
    with pytest.raises(Permanent, match="query_start"):
        hand.cancel(DB, (running(ill, one).with_(query_start=None),), NOBODY)
    assert crowd.ended == []


def test_a_session_of_another_database_is_never_ended(hand, ill, crowd):
    ill.run("CREATE DATABASE other OWNER byteport")
    (one,) = crowd.idle_in_transaction(1, url=ill.server.url_of("other"))
    refuses(hand, ill, one, "elsewhere")


def test_a_walsender_is_never_ended(hand, ill):
    ill.run("ALTER ROLE byteport REPLICATION")
    with psycopg.connect(ill.url + "?replication=true", autocommit=True) as walsender:
        told = hand.end_idle(DB, (session_of(ill, walsender),), NOW, NOBODY)
        assert fates(told) == ["not_a_client"]
        assert walsender.execute("IDENTIFY_SYSTEM").fetchone()
    ill.run("ALTER ROLE byteport NOREPLICATION")


def test_our_own_sessions_are_never_ended(hand, ill, crowd):
    (one,) = crowd.idle_in_transaction(1, "byteport-probe", url=ill.url_for("hand", "hand"))
    refuses(hand, ill, one, "spared")


def test_without_the_right_to_signal_nothing_is_ended_and_the_grant_is_named(ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    weak = PostgresSessions({DB: kept(acting_login(DB, ill.role("weak", member_of=("pg_monitor",))))})
    with pytest.raises(Denied, match="GRANT pg_signal_backend"):
        weak.end_idle(DB, (session_of(ill, one),), NOW, NOBODY)
    weak.close()
    assert is_alive(one)


def test_without_the_right_to_see_nothing_is_ended_and_the_grant_is_named(ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    blind = PostgresSessions({DB: kept(acting_login(DB, ill.role("blind", member_of=("pg_signal_backend",))))})
    with pytest.raises(Denied, match="GRANT pg_monitor"):
        blind.end_idle(DB, (session_of(ill, one),), NOW, NOBODY)
    blind.close()
    assert is_alive(one)


def test_an_empty_list_means_nobody(hand, crowd):
    (one,) = crowd.idle_in_transaction(1)
    assert hand.end_idle(DB, (), NOW, NOBODY) == ()
    assert is_alive(one)


def test_a_batch_tells_one_fate_for_each_session(hand, ill, crowd):
    (leaked,) = crowd.idle_in_transaction(1)
    (root,) = crowd.idle_in_transaction(1, url=ill.role("root", superuser=True))
    (proxy,) = crowd.idle_in_transaction(1, "pgbouncer")
    refs = tuple(session_of(ill, one) for one in (root, leaked, proxy))
    told = hand.end_idle(DB, refs, NOW, Spared(words=("pgbouncer",)))
    assert {fate.ref: fate.fate for fate in told} == dict(zip(refs, ("superuser", "ended", "spared"), strict=True))
    assert [is_alive(one) for one in (root, leaked, proxy)] == [True, False, True]


def test_a_server_that_is_gone_is_transient_and_nothing_is_sent_twice(hand, ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    ref = session_of(ill, one)
    assert hand.open() == {}
    ill.stop()
    with pytest.raises(Transient):
        hand.end_idle(DB, (ref,), NOW, NOBODY)
    ill.restart()
    assert fates(hand.end_idle(DB, (ref,), NOW, NOBODY)) == ["gone"]
