"""A runtime's heap, by its command line and its environment: on texts, and of processes that really run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from byteport.adapters.host_runtime import HostRuntimes, heap_info, hints
from byteport.errors import Permanent
from byteport.model.facts.memory import GIB, MIB
from tests.adapters.test_host_memory import Here
from tests.servers import eventually

FREEZER = Path("/sys/fs/cgroup/freezer")


def told(*argv: str, env: str = "", caught: int = 0) -> str:
    words = "".join(f"argv {n}:{word}\n" for n, word in enumerate(argv, 1))
    return f"pid 42\nSigCgt:\t{caught:016x}\n{words}{env}"


@pytest.mark.parametrize(
    ("argv", "env", "heap", "source"),
    [
        (("/usr/bin/java", "-Xmx2g", "-jar"), "", 2 * GIB, "-Xmx2g of the command line"),
        (("java", "-Xmx512m", "-Xmx1G"), "", GIB, "-Xmx1G of the command line"),
        (("java", "-XX:MaxHeapSize=1048576k"), "", GIB, "-XX:MaxHeapSize=1048576k of the command line"),
        (("java",), "env JAVA_TOOL_OPTIONS=-Xss1m -Xmx700m\n", 700 * MIB, "-Xmx700m of JAVA_TOOL_OPTIONS"),
        (("java", "-Xmx300m"), "env JAVA_TOOL_OPTIONS=-Xmx700m\n", 300 * MIB, "-Xmx300m of the command line"),
        (("java",), "env NODE_OPTIONS=--max-old-space-size=64\n", None, ""),
        (("java", "-Xmxlots"), "", None, ""),
    ],
)
def test_a_jvm_s_heap(argv, env, heap, source):
    seen = hints(told(*argv, env=env))
    assert (seen.kind, seen.heap, seen.source, seen.pid) == ("jvm", heap, source, 42)


@pytest.mark.parametrize(
    ("argv", "env", "heap"),
    [
        (("/usr/bin/node", "--max-old-space-size=4096", "/srv/app.js"), "", 4096 * MIB),
        (("node", "/srv/app.js"), "env NODE_OPTIONS=--max_old_space_size=512\n", 512 * MIB),
        (("node", "--max-old-space-size=256"), "env NODE_OPTIONS=--max-old-space-size=512\n", 256 * MIB),
        (("node",), "", None),
    ],
)
def test_node_s_heap(argv, env, heap):
    seen = hints(told(*argv, env=env))
    assert (seen.kind, seen.heap) == ("node", heap)


@pytest.mark.parametrize(
    ("argv", "caught", "snapshots"),
    [
        (("node", "--heapsnapshot-signal=SIGUSR2"), 1 << 11, True),
        (("node", "--heapsnapshot-signal=SIGUSR2"), 0, False),
        (("node",), 1 << 11, False),
        (("node", "--heapsnapshot-signal=SIGUSR1"), 1 << 9, False),
        (("python3", "--heapsnapshot-signal=SIGUSR2"), 1 << 11, False),
    ],
)
def test_a_snapshot_needs_both_the_option_and_the_signal_s_bit(argv, caught, snapshots):
    assert hints(told(*argv, caught=caught)).snapshots is snapshots


def test_what_could_not_be_read_is_said():
    assert hints(told("java") + "unread\n").lacks == ("the process's environment needs its user or root",)


@pytest.mark.parametrize(
    ("text", "used"),
    [
        (" garbage-first heap   total 131072K, used 20480K [0x1, 0x2)\n  region size 1024K\n", 20 * MIB),
        (" PSYoungGen      total 76288K, used 1024K\n ParOldGen       total 175104K, used 2048K\n", 3 * MIB),
        (" ZHeap           used 96M, capacity 256M, max capacity 512M\n", 96 * MIB),
    ],
)
def test_a_jvm_s_own_word(text, used):
    assert heap_info(text).used == used
    assert heap_info("") is None


@contextmanager
def in_a_group(name: str, *argv: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    folder = FREEZER / name
    folder.mkdir()
    enter = f"open('{folder}/cgroup.procs', 'w').write('0'); import os, sys; os.execvpe(sys.argv[1], sys.argv[1:], os.environ)"
    env = {"PATH": os.environ["PATH"], **environment}
    process = subprocess.Popen([sys.executable, "-c", enter, *argv], env=env)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        eventually(lambda: not (folder / "cgroup.procs").read_text())
        folder.rmdir()


@pytest.fixture
def java(tmp_path) -> str:
    """A program that is called java, as far as anybody outside can see."""
    path = tmp_path / "java"
    shutil.copy("/bin/sleep", path)
    path.chmod(0o755)
    return str(path)


def test_a_process_that_runs_is_asked_for_its_heap_and_for_nothing_else(java, tmp_path):
    secret = "TOKEN-that-nobody-reads"
    runtimes = HostRuntimes(Here())
    with in_a_group("byteport-heap", java, "600", JAVA_TOOL_OPTIONS="-Xmx900m", SECRET=secret):
        seen = eventually(
            lambda: (one := runtimes.runtime("here", "byteport-heap", str(tmp_path))) and one.kind == "jvm" and one
        )
        assert (seen.heap, seen.source) == (900 * MIB, "-Xmx900m of JAVA_TOOL_OPTIONS")
        assert seen.dump_free is not None
        assert seen.dump_free > 0
        assert secret not in str(seen)
        assert runtimes.heap("here", "byteport-heap") is None
        assert runtimes.runtime("here", "byteport-hea", "") is None


@pytest.mark.parametrize("name", ["", "a b", "../x", "$(id)"])
def test_a_name_that_is_none_is_not_asked_for(name):
    with pytest.raises(Permanent):
        HostRuntimes(Here()).runtime("here", name, "")


def test_what_only_calls_itself_java_is_not_asked_like_a_jvm(java, tmp_path):
    """jcmd would send it SIGQUIT, and it would end."""
    asked = tmp_path / "asked"
    (tmp_path / "jcmd").write_text(f"#!/bin/sh\necho asked >>{asked}\n")
    (tmp_path / "jcmd").chmod(0o755)
    runtimes = HostRuntimes(Here(path=f"{tmp_path}:/usr/bin:/bin"))
    with in_a_group("byteport-quit", java, "600") as process:
        eventually(lambda: (one := runtimes.runtime("here", "byteport-quit", "")) and one.kind == "jvm")
        assert runtimes.heap("here", "byteport-quit") is None
        assert process.poll() is None
    assert not asked.exists()
