"""The kept connection to a real PostgreSQL: it outlives a full server, a lost or frozen one, and tells no secret."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from byteport.adapters.database_login import Login
from byteport.adapters.database_pool import KeptConnection
from byteport.adapters.postgres import PostgresDatabases, kept, reading_login
from byteport.errors import Denied, OutOfTime, Permanent, Transient
from tests.crowd import Crowd

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


def test_it_can_look_when_every_slot_is_taken(eyes, ill, crowd):
    assert eyes.open() == {}
    crowd.fill(crowd.idle_in_transaction)
    told = eyes.state_breakdown(DB)
    assert told.utilization >= 1.0
    assert told.idle_in_transaction == told.clients - 1


def test_without_a_kept_connection_a_full_server_is_out_of_reach(ill, crowd):
    url = ill.role("eyes", member_of=("pg_monitor",))
    crowd.fill(crowd.join)
    with looking(url) as databases, pytest.raises(Transient, match="every slot is taken"):
        databases.utilization(DB)


@pytest.mark.parametrize("whose", ["ROLE eyes", "DATABASE app"])
def test_a_limit_of_our_own_login_is_not_a_full_server(ill, whose):
    url = ill.role("eyes", member_of=("pg_monitor",))
    ill.run(f"ALTER {whose} CONNECTION LIMIT 0")
    with looking(url) as databases, pytest.raises(Denied, match="too many connections for") as refused:
        databases.utilization(DB)
    assert "every slot is taken" not in str(refused.value)


def test_a_lost_connection_is_opened_again(eyes, ill):
    eyes.limits(DB)
    ill.end_sessions()
    assert eyes.utilization(DB).clients == 1


def test_a_server_that_went_away_is_transient_and_comes_back(eyes, ill):
    eyes.limits(DB)
    ill.stop()
    with pytest.raises(Transient):
        eyes.limits(DB)
    ill.restart()
    assert eyes.limits(DB).max_connections == 20


def hasty(url: str) -> KeptConnection:
    return kept(replace(reading_login(DB, url), limit=timedelta(seconds=1)))


def test_a_frozen_server_costs_no_more_than_the_limit(ill):
    connection = hasty(ill.role("eyes", member_of=("pg_monitor",)))
    databases = PostgresDatabases({DB: connection})
    databases.limits(DB)
    backend = ill.run("SELECT pid FROM pg_stat_activity WHERE application_name = 'byteport-probe'")[0]["pid"]
    os.kill(backend, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(OutOfTime, match="within 1 s"):
            databases.limits(DB)
        assert time.monotonic() - began < 2.5
        assert not connection.is_open
    finally:
        os.kill(backend, signal.SIGCONT)
    assert databases.limits(DB).max_connections == 20
    databases.close()


def test_a_black_hole_costs_no_more_than_its_limits_and_is_left_when_it_opens(ill, tcp_proxy):
    door = tcp_proxy(ill.port)
    connection = hasty(door.through(ill.role("eyes", member_of=("pg_monitor",))))
    databases = PostgresDatabases({DB: connection})
    databases.limits(DB)
    door.stall()
    began = time.monotonic()
    with pytest.raises(OutOfTime):
        databases.limits(DB)
    with pytest.raises(Transient):
        databases.limits(DB)  # now even a new connection gets no answer
    assert time.monotonic() - began < 8
    door.restore()
    assert databases.limits(DB).max_connections == 20
    databases.close()


def test_the_reading_session_cannot_write_and_bounds_itself(ill):
    with kept(reading_login(DB, ill.superuser_url)) as connection:
        with pytest.raises(Permanent, match="read-only"):
            connection.rows("CREATE TABLE no (n int)")
        shown = connection.rows(
            "SELECT current_setting('statement_timeout') AS s, current_setting('lock_timeout') AS l,"
            " current_setting('search_path') AS p, current_setting('idle_session_timeout') AS i"
        )
        assert shown == [{"s": "5s", "l": "2s", "p": "pg_catalog,pg_temp", "i": "0"}]


def test_a_wrong_password_is_denied_and_never_shown(ill):
    ill.role("eyes")
    with looking(ill.url_for("eyes", "wr0ng-secret")) as databases, pytest.raises(Denied) as caught:
        databases.limits(DB)
    assert "wr0ng-secret" not in str(caught.value)
    assert "wr0ng-secret" not in repr(databases)


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@[bad/db", "not a dsn s3cret", "postgresql://u:s3cret%@h/db"])
def test_an_unreadable_url_is_permanent_and_never_shown(url):
    login = reading_login(DB, url)
    with pytest.raises(Permanent, match="cannot be read") as caught:
        KeptConnection(login).open()
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__} {login!r}"
    assert "s3cret" not in login.redacted(f"could not use {url}")


def test_an_unknown_database_is_permanent_and_so_is_one_that_the_server_lacks(eyes, ill):
    with pytest.raises(Permanent, match="no such database in the configuration"):
        eyes.limits("other/db")
    with looking(ill.url_for("eyes", "eyes", "missing")) as databases, pytest.raises(Permanent, match="does not exist"):
        databases.limits(DB)


def test_opening_tries_every_database_and_names_the_ones_out_of_reach(ill, free_port):
    url = ill.role("eyes", member_of=("pg_monitor",))
    patients = {
        "gone/db": kept(reading_login("gone/db", f"postgresql://eyes:eyes@127.0.0.1:{free_port}/db")),
        DB: kept(reading_login(DB, url)),
    }
    databases = PostgresDatabases(patients)
    problems = databases.open()
    assert list(problems) == ["gone/db"]
    assert isinstance(problems["gone/db"], Transient)
    assert patients[DB].is_open
    databases.close()


def test_a_connection_of_a_parent_process_is_never_used_by_its_child(ill):
    with kept(reading_login(DB, ill.role("eyes", member_of=("pg_monitor",)))) as connection:
        (ours,) = connection.rows("SELECT pg_backend_pid() AS pid")
        child = os.fork()
        if child == 0:
            inherited = connection.is_open
            (theirs,) = connection.rows("SELECT pg_backend_pid() AS pid")
            os._exit(0 if not inherited and theirs != ours else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert connection.rows("SELECT pg_backend_pid() AS pid") == [ours]


def test_a_login_shows_no_secret():
    login = Login("db", "postgresql://u:p%40ss@host/db")
    assert "p%40ss" not in repr(login)
    assert (
        login.redacted("tried p@ss and p%40ss at postgresql://u:p%40ss@host")
        == "tried *** and *** at postgresql://***host"
    )
