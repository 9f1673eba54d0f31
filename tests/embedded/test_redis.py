"""The embedded Redis: it starts, keeps its data, refuses strangers, and says why it cannot start."""

import os
import signal
import stat
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from byteport.embedded import EmbeddedRedis, NotStarted
from tests.servers import roomy_folder


@pytest.fixture
def folder():
    with roomy_folder() as place:
        yield place / "redis"


def client(server):
    return redis.Redis.from_url(server.url, decode_responses=True)


def test_a_lasting_server_keeps_its_data_and_a_throwaway_does_not(folder):
    with EmbeddedRedis(folder).start() as first, client(first) as asking:
        asking.set("kept", 42)
    with EmbeddedRedis(folder, durable=False).start() as second, client(second) as asking:
        assert asking.get("kept") is None
    with EmbeddedRedis(folder).start() as third, client(third) as asking:
        assert asking.get("kept") == "42"


def test_it_never_evicts_and_syncs_every_second(folder):
    with EmbeddedRedis(folder).start() as server, client(server) as asking:
        for name, value in {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec"}.items():
            assert asking.config_get(name) == {name: value}


def test_nobody_gets_in_without_the_password(redis_server):
    once = Retry(NoBackoff(), 0)
    with redis.Redis(port=redis_server.port, retry=once) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_the_password_is_in_private_files_and_on_no_command_line(folder):
    with EmbeddedRedis(folder).start() as server:
        assert server.password not in Path(f"/proc/{server.pid}/cmdline").read_text()
        for name in ("password", "redis.conf"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_a_server_that_was_killed_starts_again_with_its_data(folder):
    first = EmbeddedRedis(folder, settings={"appendfsync": "always"}).start()
    with client(first) as asking:
        asking.set("kept", 42)
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    with EmbeddedRedis(folder).start() as second, client(second) as asking:
        assert asking.get("kept") == "42"


def test_a_second_server_on_a_folder_in_use_is_refused_and_the_first_lives_on(folder):
    with EmbeddedRedis(folder).start() as first:
        with pytest.raises(NotStarted, match="another server is running on"):
            EmbeddedRedis(folder).start(within=timedelta(seconds=0.2))
        assert first.answers()


def test_a_wanted_port_that_is_taken_is_told_from_the_log(folder, postgres_server):
    with pytest.raises(NotStarted, match="Address already in use"):
        EmbeddedRedis(folder, port=postgres_server.port).start()


def test_a_wrong_setting_is_told_from_the_log(folder):
    with pytest.raises(NotStarted, match="maxmemory-polizy"):
        EmbeddedRedis(folder, settings={"maxmemory-polizy": "noeviction"}).start()


def test_another_server_on_the_port_is_not_taken_for_ours(folder, redis_server):
    with EmbeddedRedis(folder).start() as server:
        stranger = type(server)(server.child, redis_server.port, server.log, server.password)
        assert server.answers()
        assert not stranger.answers()
