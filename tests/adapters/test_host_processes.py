"""Who uses the CPUs: how a host's answers are read, and the scripts themselves under dash, bash and busybox."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from byteport.adapters.host_processes import ProcfsOf, parsed_cpu, parsed_pressure, parsed_top
from byteport.adapters.local_host import LocalTransport
from byteport.adapters.system_units import SystemUnitsOf
from byteport.adapters.transport import COMMAND, Completed
from byteport.errors import Permanent, Transient
from byteport.model.facts.processes import lines_in, unit_of
from tests.servers import eventually

SECOND = timedelta(seconds=1)
CPU_TEXT = """=== host
4
btime 1700000000
=== cpu
100.00 cpu 1000 0 500 8000 400 10 20 70 5 0
105.01 cpu 2700 0 700 8040 440 10 20 90 5 0
110.02 cpu 4600 0 750 8060 460 10 20 100 5 0
"""
# As a RHEL 7 of its time says it: no steal counted before guests were, and cgroup v1.
OLD_TEXT = """=== cpu
10.00 cpu 0 0 0 1000
12.00 cpu 300 0 0 1100
=== process
ticks 200
pid 812
start 4711
name postgres?

command postgres: checkpointer   ?

user postgres
systemd /system.slice/postgresql-9.6.service
unified
still 812 4711 300
=== process
ticks 100
pid 900
start 5000
name java?

command /usr/bin/java?

user app
systemd /kubepods/burstable/pod0a1b/9f8e
unified
still 900 5999 3
"""


@dataclass(frozen=True)
class Under:
    """This machine, with `sh` and all tools from one folder."""

    path: str

    def get(self, _name: str) -> Under:
        return self

    def run(self, argv: Sequence[str], *, within: timedelta = COMMAND, stdin: bytes = b"") -> Completed:
        return LocalTransport().run(("/usr/bin/env", "-i", f"PATH={self.path}", *argv), within=within, stdin=stdin)

    def close(self) -> None:
        """Nothing is kept."""


@pytest.fixture
def busybox(tmp_path) -> Under:
    """Nothing but its tools."""
    subprocess.run(["busybox", "--install", "-s", str(tmp_path)], check=True)
    return Under(str(tmp_path))


@pytest.fixture(params=["dash", "bash", "busybox"])
def shell(request, tmp_path) -> Under:
    if request.param == "busybox":
        found: Under = request.getfixturevalue("busybox")
        return found
    (tmp_path / "sh").symlink_to(shutil.which(request.param) or "")
    return Under(f"{tmp_path}:/usr/bin:/bin")


@contextmanager
def spinning(name: bytes = b"spinner") -> Iterator[int]:
    """A process that uses a CPU, under that name."""
    octal = "".join("\\%03o" % byte for byte in name)  # noqa: UP031
    spin = f"printf '{octal}' >/proc/$$/comm; while :; do :; done"
    process = subprocess.Popen(["/bin/sh", "-c", spin], start_new_session=True)
    try:
        eventually(lambda: Path(f"/proc/{process.pid}/comm").read_bytes() != b"sh\n")
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_busy_is_what_is_neither_idle_nor_waits_for_disks():
    told = parsed_cpu(CPU_TEXT)
    assert (told.boot, told.cpus, len(told.samples)) == (1_700_000_000, 4, 2)
    assert [(one.busy, one.iowait, one.steal) for one in told.samples] == [(96.0, 2.0, 1.0), (98.0, 1.0, 0.5)]
    assert (told.whole.busy, told.whole.seconds) == (97.0, 10.02)
    assert told.stays_above(95.9)
    assert not told.stays_above(96.0)


@pytest.mark.parametrize("text", ["", "=== cpu\n", "=== cpu\n1.0 cpu 1 2 3 4\n", "=== cpu\nx\ny\n",
                                  "=== cpu\n9.0 cpu 1 2 3 4\n2.0 cpu 1 2 3 4\n"])  # fmt: skip
def test_half_an_answer_is_no_answer(text):
    with pytest.raises(Transient):
        parsed_cpu(text)
    with pytest.raises(Transient):
        parsed_top(text if text.count("cpu ") < 2 else "")


def test_a_counter_that_runs_backwards_counts_as_standing():
    told = parsed_cpu("=== cpu\n1.0 cpu 0 0 0 100 50 0 0 0\n2.0 cpu 100 0 0 100 40 0 0 0\n")
    assert told.samples[0].iowait == 0


def test_an_old_kernel_and_cgroup_v1_are_read_too_and_a_reused_pid_is_left_out():
    told = parsed_top(OLD_TEXT)
    assert told.use.busy == 75.0
    assert [(one.pid, one.percent, one.unit, one.pod) for one in told.processes] == [
        (812, 50.0, "postgresql-9.6.service", False),
    ]  # fmt: skip
    assert told.units == {"postgresql-9.6.service": 50.0}
    assert told.names == {"postgresql-9.6.service": (told.processes[0].name,)}
    again = parsed_top(OLD_TEXT.replace("still 900 5999", "still 900 5000"))
    assert (again.processes[1].pod, again.processes[1].unit) == (True, "")


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("/system.slice/nginx.service", "nginx.service"),
        ("/system.slice/nginx.service/worker", "nginx.service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("/shop.slice/shop-web.slice/shop@1.service", "shop@1.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service", ""),
        ("/user.slice/user-1000.slice/session-3.scope", ""),
        ("/docker/0a1b/system.slice/nginx.service", ""),
        ("/machine.slice/machine-a.scope/system.slice/nginx.service", ""),
        ("/system.slice/docker-0a1b.scope", ""),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-pod1.slice/cri-containerd-2.scope", ""),
        ("/lxc/a/system.slice/nginx.service", ""),
        ("/", ""),
        ("", ""),
        ("/init.scope", ""),
        ("/system.slice/a b.service", ""),
    ],
)
def test_only_a_service_of_the_hosts_own_manager_is_a_unit(cgroup, unit):
    assert unit_of(cgroup) == unit


def test_what_a_process_is_called_cannot_look_like_another_line():
    forged = OLD_TEXT.replace(
        "systemd /system.slice/postgresql-9.6.service",
        "systemd /user.slice/x\u2028systemd /system.slice/nginx.service\u2028pid 1",
    )
    (one,) = parsed_top(forged).processes
    assert (one.pid, one.unit) == (812, "")


def test_swap_activity_is_counted_from_one_second_to_the_next():
    seconds = "".join(
        f"=== second\nprocs_running {n + 1}\nprocs_blocked 1\nnr_free_pages 9\npswpin {n * 4}\npswpout 100\n"
        for n in range(6)
    )
    told = parsed_pressure(f"=== host\n8\n9.5 4.0 2.0 3/300 99\n{seconds}")
    assert (told.running, told.swapped_in, told.swapped_out) == ((2, 3, 4, 5, 6), (4,) * 5, (0,) * 5)
    assert (told.swapping_seconds, told.cpus, told.load) == (5, 8, (9.5, 4.0, 2.0))
    without = parsed_pressure("=== host\n1\n" + "=== second\nprocs_running 1\nnr_free_pages 9\n" * 3)
    assert without.swapping_seconds == 0
    with pytest.raises(Transient):
        parsed_pressure("=== host\n1\n" + "=== second\nprocs_running 1\n" * 3)


def test_this_machine_is_watched(shell):
    told = ProcfsOf(shell).cpu("here", 2 * SECOND, SECOND)
    assert (len(told.samples), told.cpus) == (2, os.cpu_count())
    assert all(0 <= sample.busy <= 100 and sample.seconds >= 0.9 for sample in told.samples)
    assert told.boot > 1_600_000_000


def test_the_pressure_of_this_machine_is_told(shell):
    told = ProcfsOf(shell).pressure("here")
    assert len(told.running) == len(told.swapped_in) == 5
    assert min(told.running) >= 1
    assert len(told.load) == 3


NAMES = [b"spinner", b"a\nb", b"x) R 1 1 1", b"(\xff')\"$`;", b"=== process", b"\npid 1\nstart 1", b"\\n \t?"]


@pytest.mark.parametrize("name", NAMES)
def test_a_busy_process_is_found_whatever_it_calls_itself(shell, name):
    with spinning(name) as pid:
        told = ProcfsOf(shell).top("here", SECOND)
    (found,) = [one for one in told.processes if one.pid == pid]
    assert found.percent > 5
    assert found.name == "".join(chr(b) if 32 <= b < 127 else "?" for b in name[:15])
    assert (found.command, found.user) == ("/bin/sh", "root")
    assert told.unread == ()


def test_what_is_busy_now_ranks_before_what_was_busy_once(shell):
    with spinning() as old:
        eventually(lambda: sum(map(int, Path(f"/proc/{old}/stat").read_text().split()[13:15])) > 60, within=30)
        os.kill(old, signal.SIGSTOP)
        with spinning() as young:
            told = ProcfsOf(shell).top("here", SECOND)
    pids = [one.pid for one in told.processes]
    assert young in pids
    assert old not in pids
    assert len(pids) <= 5


def test_a_host_that_cannot_run_it_is_said_to_be_out_of_reach(tmp_path):
    (tmp_path / "sh").symlink_to("/bin/false")
    with pytest.raises(Transient, match="could not be watched"):
        ProcfsOf(Under(str(tmp_path))).cpu("here", SECOND, SECOND)


def test_a_host_without_systemd_has_no_services(busybox):
    units = SystemUnitsOf(busybox)
    assert units.labelled("here").why == "there is no systemd"
    assert units.unit("here", "nginx.service") is None
    with pytest.raises(Permanent, match="has no service"):
        units.set_cpu_weight("here", "nginx.service", None, 20)


OWN = ("0::/system.slice/web.service", "4:memory:/system.slice/web.service/workers",
       "0::/system.slice/system-web.slice/web.service", "1:name=systemd:/web.service")  # fmt: skip
ANOTHERS = (
    "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
    "0::/system.slice/docker-4711.scope/system.slice/web.service",
    "0::/machine.slice/machine-guest.scope/payload/system.slice/web.service",
    "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-4711.scope/web.service",
    "0::/system.slice/other.service/web.service", "0::/system.slice/not-web.service", "0::/system.slice/web-service",
)  # fmt: skip


@pytest.mark.parametrize(("line", "is_its_own"), [*((one, True) for one in OWN), *((one, False) for one in ANOTHERS)])
def test_a_service_is_the_one_of_the_hosts_own_manager_and_none_that_has_its_name(tmp_path, line, is_its_own):
    (tmp_path / "cgroup").write_text(f"{line}\n", encoding="utf-8")
    found = subprocess.run(["grep", "-qE", "--", lines_in("web.service"), tmp_path / "cgroup"], check=False)
    assert (found.returncode == 0) is is_its_own


def test_a_control_group_that_is_no_service_may_stand_anywhere(tmp_path):
    (tmp_path / "cgroup").write_text("0::/lxc/guest/batch.d/worker\n", encoding="utf-8")
    assert subprocess.run(["grep", "-qE", "--", lines_in("batch.d"), tmp_path / "cgroup"], check=False).returncode == 0
