"""What a real pgbouncer's console shows, and the one number that may be raised in its file."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from byteport.adapters import pgbouncer as module
from byteport.adapters.database_pool import KeptConnection
from byteport.adapters.pgbouncer import PgbouncerConsole, Pgbouncers, PgbouncerSettings, console_login
from byteport.adapters.pgbouncer_file import PoolerFile
from byteport.errors import Denied, Permanent, Transient
from byteport.model.facts.database import PgbouncerPools, Pool
from tests.servers import eventually

DB = "patient/app"


@pytest.fixture
def ill(patient):
    return patient(max_connections=20)


@pytest.fixture
def console():
    """Makes consoles, and closes them at the end."""
    made = []

    def of(url: str, file: PoolerFile | None = None) -> PgbouncerConsole:
        made.append(KeptConnection(console_login("the pooler", url)))
        return PgbouncerConsole(made[-1], "app", file)

    yield of
    for one in made:
        one.close()


@pytest.fixture
def queue(ill, pgbouncer):
    """A pooler with two server connections, both taken, and two clients that wait."""
    pooler = pgbouncer(ill, default_pool_size=2)
    clients = []
    for n in range(4):
        one = psycopg.connect(pooler.url, prepare_threshold=None) if n < 2 else Waiting(pooler)
        if n < 2:
            one.execute("SELECT 1")
        clients.append(one)
    yield pooler
    for one in clients:
        one.close()


class Waiting:
    """A client that asks and does not wait for the answer, since there will be none."""

    def __init__(self, pooler):
        self.connection = psycopg.connect(pooler.url, prepare_threshold=None, autocommit=True)
        self.connection.pgconn.send_query(b"SELECT 1")

    def close(self):
        self.connection.close()


def test_waiting_clients_and_the_oldest_wait_are_told(queue, console):
    poolers = Pgbouncers({DB: console(queue.stats_url)})
    told = eventually(lambda: (p := poolers.pools(DB)).clients_waiting == 2 and p.longest_wait_seconds > 1 and p)
    assert told.default_pool_size == 2
    assert told.max_db_connections == 0
    assert not told.file_opted_in
    (pool,) = [pool for pool in told.pools if pool.database == "app"]
    assert (pool.user, pool.clients_active, pool.servers, pool.size, pool.own_size) == ("pooled", 2, 2, 2, False)
    assert poolers.default_pool_size(DB) == 2


def test_a_pool_with_a_size_of_its_own_gains_nothing_from_the_default(ill, pgbouncer, console):
    pooler = pgbouncer(ill, pool_size=5, default_pool_size=2)
    with psycopg.connect(pooler.url, prepare_threshold=None) as one:
        one.execute("SELECT 1")
        poolers = Pgbouncers({DB: console(pooler.stats_url)})
        told = poolers.pools(DB)
        (pool,) = told.pools
    assert (pool.size, pool.own_size) == (5, True)
    assert told.slots_added_by(50) == 0


def test_slots_are_added_for_every_pool_of_the_default_size():
    pools = (
        Pool(database="a", user="x", size=8),
        Pool(database="b", user="x", size=8),
        Pool(database="c", user="x", size=30, own_size=True),
    )
    assert PgbouncerPools(pools=pools, default_pool_size=8).slots_added_by(10) == 4


def test_only_the_pools_that_lead_to_the_target_are_its_queue():
    pools = (
        Pool(database="app", user="x", size=8, clients_waiting=1, longest_wait_seconds=3),
        Pool(database="other", user="x", size=8, clients_waiting=9, longest_wait_seconds=90, serves_target=False),
    )
    told = PgbouncerPools(pools=pools, default_pool_size=8)
    assert (told.clients_waiting, told.longest_wait_seconds) == (1, 3)


def test_no_pooler_is_an_answer_and_cannot_be_changed():
    assert Pgbouncers({}).pools(DB) is None
    with pytest.raises(Permanent, match="no pooler is configured"):
        Pgbouncers({}).default_pool_size(DB)
    with pytest.raises(Permanent, match="no pooler is configured"):
        PgbouncerSettings({}).raise_default_pool_size(DB, 2, 3)


def test_an_opted_in_file_is_raised_and_reloaded(ill, pgbouncer, console):
    pooler = pgbouncer(ill, default_pool_size=4)
    before = pooler.ini.stat()
    there = console(pooler.admin_url, PoolerFile(pooler.ini))
    settings, poolers = PgbouncerSettings({DB: there}), Pgbouncers({DB: there})
    settings.raise_default_pool_size(DB, 4, 5)
    assert eventually(lambda: poolers.default_pool_size(DB) == 5)
    assert "default_pool_size = 5\n" in pooler.ini.read_text()
    after = pooler.ini.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (
        stat.S_IMODE(before.st_mode),
        before.st_uid,
        before.st_gid,
    )
    settings.raise_default_pool_size(DB, 4, 5)  # a repeated move finds it done, and only reloads
    assert poolers.default_pool_size(DB) == 5


def test_without_an_opt_in_the_file_stays_and_the_value_is_named(ill, pgbouncer, console):
    pooler = pgbouncer(ill, default_pool_size=4)
    before = pooler.ini.read_bytes()
    settings = PgbouncerSettings({DB: console(pooler.admin_url)})
    with pytest.raises(Permanent, match="not opted in; set default_pool_size = 5"):
        settings.raise_default_pool_size(DB, 4, 5)
    assert pooler.ini.read_bytes() == before


def test_a_smaller_or_equal_value_is_no_raise(ill, pgbouncer, console):
    pooler = pgbouncer(ill, default_pool_size=4)
    before = pooler.ini.read_bytes()
    settings = PgbouncerSettings({DB: console(pooler.admin_url, PoolerFile(pooler.ini))})
    for to in (4, 3):
        with pytest.raises(Permanent, match="not a raise"):
            settings.raise_default_pool_size(DB, 4, to)
    assert pooler.ini.read_bytes() == before


def test_a_login_that_may_only_look_cannot_reload(ill, pgbouncer, console):
    pooler = pgbouncer(ill, default_pool_size=4)
    there = console(pooler.stats_url, PoolerFile(pooler.ini))
    with pytest.raises(Denied, match="admin"):
        PgbouncerSettings({DB: there}).raise_default_pool_size(DB, 4, 5)
    assert Pgbouncers({DB: there}).default_pool_size(DB) == 4
    assert "default_pool_size = 4\n" in pooler.ini.read_text()  # nor may the edit wait for somebody's later reload


def test_a_frozen_pooler_costs_no_more_than_its_limit(ill, pgbouncer, tcp_proxy):
    pooler = pgbouncer(ill)
    door = tcp_proxy(pooler.port)
    login = replace(console_login("the pooler", door.through(pooler.stats_url)), limit=timedelta(seconds=1))
    poolers = Pgbouncers({DB: PgbouncerConsole(KeptConnection(login), "app")})
    assert poolers.default_pool_size(DB) == 2
    door.stall()
    with pytest.raises(Transient, match="within 1 s"):
        poolers.default_pool_size(DB)
    door.restore()
    assert poolers.default_pool_size(DB) == 2
    poolers.close()


def test_a_pooler_that_was_restarted_is_asked_again(ill, pgbouncer, console):
    pooler = pgbouncer(ill)
    poolers = Pgbouncers({DB: console(pooler.stats_url)})
    for _ in range(20):  # more often than psycopg would stay with the simple protocol by itself
        poolers.pools(DB)
    pooler.stop()
    with pytest.raises(Transient):
        poolers.pools(DB)


def test_the_module_has_no_word_for_what_a_pooler_must_never_be_told():
    commands = {value for value in vars(module).values() if isinstance(value, str) and value.isupper()}
    assert commands == {"SHOW POOLS", "SHOW DATABASES", "SHOW CONFIG", "SHOW STATS", "RELOAD"}


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────

INI = "[databases]\napp = host=h default_pool_size=9\n\n[pgbouncer]\n; default_pool_size = 7\ndefault_pool_size = 20\nlisten_port = 6432\n"


@pytest.fixture
def ini(tmp_path):
    path = tmp_path / "pgbouncer.ini"
    path.write_text(INI)
    path.chmod(0o640)
    return path


def test_only_the_one_number_changes(ini):
    PoolerFile(ini).replace_number("default_pool_size", 20, 25)
    assert ini.read_text() == INI.replace("= 20", "= 25")
    assert stat.S_IMODE(ini.stat().st_mode) == 0o640
    assert [path.name for path in ini.parent.iterdir()] == ["pgbouncer.ini"]


def test_a_link_is_followed_and_stays_a_link(ini, tmp_path):
    link = tmp_path / "link.ini"
    link.symlink_to(ini)
    PoolerFile(link).replace_number("default_pool_size", 20, 25)
    assert link.is_symlink()
    assert "= 25" in ini.read_text()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (INI.replace("= 20", "= 40"), "somebody is changing it"),
        (INI.replace("default_pool_size = 20", "%include other.ini"), "exactly once"),
        (INI + "default_pool_size = 20\n", "exactly once"),
        (INI.replace("= 20", "= many"), "exactly once"),
        (INI.replace("[pgbouncer]", "[users]"), "exactly once"),
        ("", "exactly once"),
    ],
)
def test_a_file_that_is_not_understood_is_left_alone(ini, text, why):
    ini.write_text(text)
    with pytest.raises(Permanent, match=why):
        PoolerFile(ini).replace_number("default_pool_size", 20, 25)
    assert ini.read_text() == text


def test_a_missing_or_huge_file_is_permanent(tmp_path):
    with pytest.raises(Permanent, match="No such file"):
        PoolerFile(tmp_path / "none.ini").replace_number("default_pool_size", 20, 25)
    (tmp_path / "huge.ini").write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(Permanent, match="no configuration file"):
        PoolerFile(tmp_path / "huge.ini").replace_number("default_pool_size", 20, 25)
