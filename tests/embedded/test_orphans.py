"""Whoever starts servers may be killed at any moment; nothing may be left behind, and nothing may be lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from byteport.embedded import EmbeddedPostgres
from tests.servers import alive, eventually, roomy_folder

STARTER = """
import json, sys, threading
from pathlib import Path
from byteport.embedded import EmbeddedPostgres, EmbeddedRedis
folder, orphan_safe = Path(sys.argv[1]), sys.argv[2] == "safe"
postgres = EmbeddedPostgres(folder / "postgres", orphan_safe=orphan_safe).start()
redis = EmbeddedRedis(folder / "redis", orphan_safe=orphan_safe).start()
print(json.dumps({"pids": [postgres.pid, redis.pid], "url": postgres.url}), flush=True)
threading.Event().wait()
"""


@pytest.fixture
def folder():
    with roomy_folder() as place:
        yield place


@pytest.fixture
def starter(folder):
    """Starts a process of its own that starts both servers; gives it and what it said."""
    processes = []

    def start(how):
        process = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(folder), how],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        processes.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def everything_in(folder):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                where = (entry / "cwd").resolve(strict=True)
            except OSError:
                continue
            if where.is_relative_to(folder):
                found.append(int(entry.name))
    return found


def test_a_killed_parent_leaves_no_server_behind(starter, folder):
    process, said = starter("safe")
    assert all(alive(pid) for pid in said["pids"])
    process.send_signal(signal.SIGKILL)
    process.wait()
    eventually(lambda: not any(alive(pid) for pid in said["pids"]), within=10)
    eventually(lambda: not everything_in(folder), within=10)


def test_what_was_committed_before_the_kill_is_there_at_the_next_start(starter, folder):
    process, said = starter("safe")
    with psycopg.connect(said["url"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with EmbeddedPostgres(folder / "postgres").start() as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]


def test_without_the_option_the_servers_live_on_and_their_folder_stays_theirs(starter, folder):
    process, said = starter("unsafe")
    try:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with psycopg.connect(said["url"]) as connection:
            assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert all(alive(pid) for pid in said["pids"])
    finally:
        for pid in said["pids"]:
            os.kill(pid, signal.SIGINT)
    eventually(lambda: not everything_in(folder), within=10)
