"""The embedded PostgreSQL: it starts, keeps its data, says why it cannot start, and never outlives us."""

import os
import signal
import stat
import threading
from datetime import timedelta
from importlib.util import find_spec

import psycopg
import pytest

from byteport.embedded import EmbeddedPostgres, NotStarted, free_port
from byteport.embedded.accounts import lent_account
from byteport.embedded.postgres_files import PACKAGE, installation
from tests.servers import alive, eventually, roomy_folder


@pytest.fixture
def folder():
    with roomy_folder() as place:
        yield place / "postgres"


def throwaway(folder, **more):
    return EmbeddedPostgres(folder, durable=False, **more)


def rows(url, statement):
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def write(url, statement):
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def test_a_second_start_on_the_same_folder_finds_the_data(folder):
    with throwaway(folder).start() as first:
        write(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert not alive(first.pid)
    with throwaway(folder).start() as second:
        assert rows(second.url, "SELECT answer FROM kept") == [(42,)]


def test_the_owner_of_the_database_is_no_superuser(postgres_server):
    asked = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    assert rows(postgres_server.url, asked) == [(False,)]
    assert rows(postgres_server.superuser_url, asked) == [(True,)]


@pytest.mark.parametrize("user", ["byteport", "postgres"])
def test_nobody_gets_in_without_the_password(postgres_server, user):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://{user}:guess@127.0.0.1:{postgres_server.port}/byteport")


def test_it_listens_on_loopback_alone_and_has_no_other_door(postgres_server):
    asked = "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
    assert rows(postgres_server.superuser_url, asked) == [("127.0.0.1", "")]


def test_passwords_are_kept_in_private_files(postgres_server):
    for kept in postgres_server.data.parent.glob("password.*"):
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(set(postgres_server.passwords.values())) == 2


def test_a_lasting_server_syncs_every_commit_and_a_throwaway_does_not(folder, postgres_server):
    asked = (
        "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')"
    )
    with EmbeddedPostgres(folder).start() as lasting:
        assert rows(lasting.url, asked) == [("on", "on", "on")]
    assert rows(postgres_server.url, asked) == [("off", "on", "off")]


def test_a_server_that_was_killed_starts_again_with_its_data(folder):
    first = EmbeddedPostgres(folder).start()
    write(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    assert (first.data / "postmaster.pid").exists()
    with EmbeddedPostgres(folder).start() as second:
        assert rows(second.url, "SELECT answer FROM kept") == [(42,)]


def test_a_pid_file_that_names_a_living_stranger_is_stale(folder):
    throwaway(folder).start().stop()
    data = folder / "data"
    note = data / "postmaster.pid"
    note.write_text(f"{os.getpid()}\n{data}\n1700000000\n5432\n\n127.0.0.1\n  1234567     65537\nready   \n")
    with throwaway(folder).start() as server:
        assert rows(server.url, "SELECT 1") == [(1,)]


def test_a_second_server_on_a_folder_in_use_is_refused_and_the_first_lives_on(folder):
    with throwaway(folder).start() as first:
        with pytest.raises(NotStarted, match="another server is running on"):
            throwaway(folder).start(within=timedelta(seconds=0.2))
        assert rows(first.url, "SELECT 1") == [(1,)]


def test_a_half_made_database_is_made_anew(folder):
    half = folder / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with throwaway(folder).start() as server:
        assert rows(server.url, "SELECT 1") == [(1,)]
    assert not half.exists()


def test_a_wrong_setting_is_told_from_the_log(folder):
    with pytest.raises(NotStarted, match="unrecognized configuration parameter"):
        throwaway(folder, settings={"max_conections": 5}).start()


def test_a_wanted_port_that_is_taken_is_told_from_the_log(folder, redis_server):
    with pytest.raises(NotStarted, match="could not bind"):
        throwaway(folder, port=redis_server.port).start()


def test_a_wanted_port_is_used(folder):
    port = free_port()
    with throwaway(folder, port=port).start() as server:
        assert f":{port}/" in server.url


def test_no_time_means_an_error_and_no_process(folder):
    throwaway(folder).start().stop()
    with pytest.raises(NotStarted, match="not ready in time"):
        throwaway(folder).start(within=timedelta(0))
    with throwaway(folder).start() as server:
        assert rows(server.url, "SELECT 1") == [(1,)]


def test_a_server_outlives_the_thread_that_asked_for_it(folder):
    started = []
    asker = threading.Thread(target=lambda: started.append(throwaway(folder).start()))
    asker.start()
    asker.join()
    with started[0] as server:
        assert rows(server.url, "SELECT 1") == [(1,)]
        assert alive(server.pid)


def test_a_folder_that_only_its_owner_enters_works_too(folder):
    folder.parent.chmod(0o700)
    with throwaway(folder).start() as first:
        write(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with throwaway(folder).start() as second:
        assert rows(second.url, "SELECT answer FROM kept") == [(42,)]
    throwaway(folder).remove()
    assert not first.data.exists()
    assert not folder.exists()


def test_data_whose_folder_was_closed_later_is_an_error_not_an_empty_database(folder):
    with throwaway(folder).start() as first:
        write(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    folder.parent.chmod(0o700)
    if os.geteuid() == 0:
        with pytest.raises(NotStarted, match="cannot enter"):
            throwaway(folder).start()
    folder.parent.chmod(0o711)
    with throwaway(folder).start() as second:
        assert rows(second.url, "SELECT answer FROM kept") == [(42,)]


def test_data_that_was_kept_elsewhere_and_is_gone_is_an_error_not_an_empty_database(folder):
    folder.mkdir()
    (folder / "location").write_text("/var/lib/byteport/embedded/gone\n")
    if os.geteuid() != 0:  # an ordinary user's data is always in the folder itself
        with throwaway(folder).start() as server:
            assert server.data == folder / "data"
        return
    with pytest.raises(NotStarted, match="which is gone"):
        throwaway(folder).start()


def test_programs_that_the_lent_account_cannot_reach_are_copied_once(folder, monkeypatch):
    account = lent_account()
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)
    (closed / PACKAGE).symlink_to(find_spec(PACKAGE).submodule_search_locations[0])
    monkeypatch.syspath_prepend(str(closed))
    shelf = folder.parent / "shelf"
    programs = installation(account, shelf)
    if account is None:  # nobody else has to read them
        assert programs.is_relative_to(closed)
        return
    assert programs.is_relative_to(shelf)
    assert account.can_run(programs / "postgres")
    first_copied = (programs / "postgres").stat().st_ino
    assert (installation(account, shelf) / "postgres").stat().st_ino == first_copied
    assert len(list(shelf.iterdir())) == 1


def test_its_end_is_awaited(folder):
    server = throwaway(folder).start()
    server.stop()
    assert not alive(server.pid)
    server.stop()
    eventually(lambda: not (server.data / "postmaster.pid").exists())
