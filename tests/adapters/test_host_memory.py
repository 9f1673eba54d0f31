"""A host's memory, asked for real: with GNU's tools and with busybox, control groups that the kernel keeps, kills."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from byteport.adapters import host_memory_scripts
from byteport.adapters.host_memory import HostMemory
from byteport.adapters.local_host import PATH, LocalTransport
from byteport.adapters.transport import Completed
from byteport.errors import Permanent
from byteport.model.facts.memory import MIB
from tests.servers import eventually

CONTROLLER = Path("/sys/fs/cgroup/memory")
KEEPER = "import time; kept = bytearray({size}); print('kept', flush=True); time.sleep(60)"


@dataclass
class Here:
    """This machine under whichever tools `path` holds."""

    shell: Sequence[str] = ("sh",)
    path: str = PATH

    def get(self, _name: str) -> Here:
        return self

    def run(self, argv: Sequence[str], *, within: timedelta, stdin: bytes = b"") -> Completed:
        told = subprocess.run(
            [*self.shell, *argv[1:]], capture_output=True, text=True, env={"PATH": self.path}, check=False,
            timeout=within.total_seconds(), input=stdin.decode(),
        )  # fmt: skip
        return Completed(told.returncode, told.stdout, told.stderr)

    def close(self) -> None:
        """Nothing is kept."""


@pytest.fixture(params=["gnu", "busybox"])
def memory(request, tmp_path) -> HostMemory:
    if request.param == "gnu":
        return HostMemory(Here())
    busybox = shutil.which("busybox")
    assert busybox
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (tmp_path / name).symlink_to(busybox)
    return HostMemory(Here((busybox, "sh"), str(tmp_path)))


@contextmanager
def in_a_group(name: str, limit: int, program: str) -> Iterator[subprocess.Popen[str]]:
    """A process in a control group of its own with a limit that its kernel keeps."""
    folder = CONTROLLER / name
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(str(limit))
    enter = f"open('{folder}/cgroup.procs', 'w').write('0'); "
    process = subprocess.Popen([sys.executable, "-c", enter + program], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        eventually(lambda: not (folder / "cgroup.procs").read_text())
        folder.rmdir()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_what_can_be_had_is_the_kernel_s_own_word(memory):
    seen = memory.meminfo("here")
    assert 0 < seen.available < seen.total == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < seen.used_pct < 100
    assert seen.oom_kills is not None
    assert seen.major_faults is not None


def test_the_time_that_tasks_wait_for_memory(memory):
    seen = memory.stall("here")
    assert seen is not None
    assert 0 <= seen.some_avg60 <= 100


def test_who_holds_memory_and_since_when(memory):
    with in_a_group("byteport-holds", 400 * MIB, KEEPER.format(size=150 * MIB)) as process:
        assert told(process) == "kept"
        seen = memory.top("here")
        one = next(one for one in seen.processes if one.pid == process.pid)
        assert 150 * MIB < one.rss < 200 * MIB
        assert (one.parent, one.user, one.unit) == (os.getpid(), os.getuid(), "")
        assert 0 <= one.age < 60
        assert seen.consumers == tuple(sorted(seen.consumers, key=lambda each: each.rss, reverse=True))
        assert sum(one.processes for one in seen.consumers) >= len(seen.processes) - 1


def test_a_control_group_s_own_memory_and_its_tightest_limit(memory):
    with in_a_group("byteport-one", 300 * MIB, KEEPER.format(size=100 * MIB)) as process:
        assert told(process) == "kept"
        seen = memory.group("here", "byteport-one")
        assert seen is not None
        assert (seen.version, seen.path, seen.limit) == (1, "/byteport-one", 300 * MIB)
        assert 100 * MIB <= seen.anon <= seen.current <= 300 * MIB
        assert seen.working_set <= seen.current
        assert (seen.oom_kills, seen.pids) == (0, (process.pid,))


def test_a_kill_by_the_kernel_is_counted_in_its_group(memory):
    """The keeper stays; the second process wants more than the group may hold, and is killed."""
    greedy = "import os; os.fork() or bytearray(200 << 20); print('kept', flush=True); import time; time.sleep(60)"
    with in_a_group("byteport-kill", 60 * MIB, greedy) as process:
        assert told(process) == "kept"
        seen = eventually(lambda: (one := memory.group("here", "byteport-kill")) and one.oom_kills and one, within=20)
        assert (seen.oom_kills, seen.limit) == (1, 60 * MIB)
        assert process.poll() is None


@pytest.mark.parametrize("name", ["byteport-none", "byteport-on", "byteport.one", "shop.service"])
def test_a_group_that_nothing_runs_in_is_none(memory, name):
    with in_a_group("byteport-one", 300 * MIB, KEEPER.format(size=MIB)) as process:
        assert told(process) == "kept"
        assert memory.group("here", name) is None


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "$(id)", "'", "a|b", "-"[:0]])
def test_a_name_that_is_none_is_not_asked_for(memory, name):
    with pytest.raises(Permanent, match="is no name"):
        memory.group("here", name)


def test_open_files_and_sockets_are_counted(memory):
    """As root everybody's are seen."""
    seen = memory.audit("here")
    assert seen.sockets_in_use is None or seen.sockets_in_use > 0
    assert seen.lacks == ()
    asked = ("sh", "-c", host_memory_scripts.OPEN)
    counted = memory.hosts.get("here").run(asked, within=timedelta(seconds=20)).stdout
    own = next(line.split() for line in counted.splitlines() if line.startswith(f"{os.getpid()} "))
    assert int(own[1]) >= 3


def test_the_kernel_s_lines_support_and_their_lack_is_told(memory):
    seen = memory.kernel("here")
    assert seen.why or all(isinstance(line, str) for line in seen.lines)


def test_a_host_of_the_configuration_is_asked_without_a_shell_of_ours():
    class Hosts:
        def get(self, _name: str) -> LocalTransport:
            return LocalTransport()

    assert HostMemory(Hosts()).meminfo("here").total > 0
