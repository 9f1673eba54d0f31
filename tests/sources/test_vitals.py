"""Hosts' vitals: what a look tells, on recorded answers of several systems and over a real sshd."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from byteport.adapters.host_vitals import REMOTE, SCRIPT, HostVitals, parsed
from byteport.adapters.hosts import Hosts
from byteport.errors import Transient
from byteport.model.alert import Alert
from byteport.model.facts.hosts import MountUse, Vitals
from byteport.settings.hosts import HostSection
from byteport.sources.default_routes import default_routes
from byteport.sources.incoming import Silent
from byteport.sources.vitals import VitalRules, VitalsPoller
from tests import ssh_server
from tests.remembering import Row
from tests.ssh_server import SshServer

AT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
PERIOD = timedelta(seconds=30)
GIB = 1 << 30
ANSWER = """=== stat
cpu  100 0 50 800 50 0 0 0 0 0
btime 1795000000
=== memory
MemTotal:        8000000 kB
MemFree:          200000 kB
MemAvailable:    6000000 kB
=== vmstat
oom_kill 3
=== mounts
/dev/sda1 / ext4 rw,relatime 0 0
tmpfs /run tmpfs rw 0 0
/dev/sdb1 /srv/with\\040space xfs rw 0 0
/dev/sdc1 /media iso9660 ro 0 0
/dev/sdd1 /old ext4 ro,relatime 0 0
/dev/sda1 /bind ext4 rw 0 0
nas:/x /net nfs4 rw 0 0
=== bytes
Filesystem     1024-blocks    Used Available Capacity Mounted on
/dev/sda1          1000000  850000    150000      85% /
tmpfs               100000  100000         0     100% /run
/dev/sdb1          2000000  200000   1800000      10% /srv/with space
/dev/sdd1          1000000 1000000         0     100% /old
/dev/sda1          1000000  850000    150000      85% /bind
=== inodes
Filesystem      Inodes  IUsed  IFree IUse% Mounted on
/dev/sda1        65536  60000   5536   92% /
/dev/sdb1            0      0      0     - /srv/with space
"""


def test_a_whole_answer():
    told = parsed(ANSWER)
    assert (told.busy, told.total, told.boot, told.oom_kills) == (150, 1000, 1795000000, 3)
    assert (told.memory_total, told.memory_available) == (8_000_000 * 1024, 6_000_000 * 1024)
    root, srv = told.mounts
    assert (root.mount, root.bytes_fraction, round(root.inodes_fraction, 3)) == ("/", 0.85, 0.916)
    assert (srv.mount, srv.inodes_total, srv.inodes_fraction) == ("/srv/with space", None, 0.0)


def test_an_old_kernel_s_memory_is_estimated_and_what_it_does_not_count_is_said():
    text = ANSWER.replace("MemAvailable:    6000000 kB\n", "Buffers: 100000 kB\nCached: 700000 kB\n").replace(
        "oom_kill 3\n", ""
    )
    told = parsed(text)
    assert told.memory_available == 1_000_000 * 1024
    assert (told.oom_kills, told.unread) == (None, ("OOM kills",))


@pytest.mark.parametrize("text", ["", "=== stat\n", "=== memory\nMemTotal: 1 kB\n", "bash: grep: not found\n" * 5])
def test_an_answer_without_cpu_or_memory_is_none(text):
    with pytest.raises(Transient):
        parsed(text)


@pytest.mark.parametrize("shell", [["sh"], ["busybox", "sh"]])
def test_this_machine_tells_of_itself_with_gnu_s_tools_and_with_busybox(shell, tmp_path):
    if shell[0] == "busybox":
        for name in ("grep", "cat", "df", "echo", "awk", "sort", "timeout"):
            (tmp_path / name).symlink_to(shutil.which("busybox"))
    path = f"{tmp_path}:/bin" if shell[0] == "busybox" else "/usr/bin:/bin"
    told = parsed(
        subprocess.run(
            [*shell, "-c", SCRIPT, f"^({REMOTE})$"], capture_output=True, text=True, env={"PATH": path}, check=True
        ).stdout
    )
    assert told.total > told.busy > 0
    assert 0 < told.memory_available < told.memory_total
    assert told.mounts


@pytest.fixture
def sshd(tmp_path) -> Iterator[SshServer]:
    with ssh_server.running(tmp_path) as server:
        yield server


def test_two_looks_over_ssh_cost_one_connection(sshd):
    section = HostSection(
        address="127.0.0.1", port=sshd.port, user=sshd.user, key_file=sshd.key, known_hosts=sshd.known_hosts
    )
    hosts = Hosts({"web1": section})
    looking = HostVitals(hosts)
    first, second = looking.vitals("web1"), looking.vitals("web1")
    assert second.total >= first.total
    assert sshd.logins() == 1
    hosts.close()


# ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────────────


def vitals(**more) -> Vitals:
    usual = {"busy": 0, "total": 0, "boot": 1, "memory_total": 8 * GIB, "memory_available": 6 * GIB, "oom_kills": 0}
    return Vitals(**(usual | more))


@dataclass
class Said:
    """Hosts that answer what the test has written down."""

    answers: dict[str, list[Vitals | Exception]]
    asked: list[str] = field(default_factory=list)

    def vitals(self, host: str) -> Vitals:
        self.asked.append(host)
        told = self.answers[host].pop(0)
        if isinstance(told, Exception):
            raise told
        return told


def looks(*answers: Vitals | Exception, every: timedelta = PERIOD, **rules) -> list[list[tuple[str, bool]]]:
    poller = Row(VitalsPoller(Said({"web1": list(answers)}), ("web1",), VitalRules(**rules), PERIOD, PERIOD))
    told = []
    for number in range(len(answers)):
        try:
            heard = poller.ask(AT + number * every)
        except Transient:
            told.append([("silent", False)])
            continue
        told.append(sorted((one.name, one.resolved) for one in heard if not isinstance(one, Silent)))
    return told


def busy(*shares: float) -> list[Vitals]:
    """Looks between which so large a share of the CPUs was busy."""
    at, found = 0, [vitals()]
    for number, share in enumerate(shares, 1):
        at += round(share * 1000)
        found.append(vitals(busy=at, total=1000 * number))
    return found


def test_a_cpu_is_told_of_when_it_has_been_busy_for_long_enough_and_its_end_once():
    told = looks(*busy(0.95, 0.97, 0.99, 0.2, 0.2), cpu_seconds=60)
    assert told == [[], [], [], [("HostHighCpuLoad", False)], [("HostHighCpuLoad", True)], []]


def test_a_moment_of_load_is_no_saturation():
    assert looks(*busy(0.99, 0.2, 0.99, 0.2, 0.99), cpu_seconds=60) == [[]] * 6


def test_one_look_tells_nothing_of_a_cpu_and_one_long_after_neither():
    assert looks(*busy(0.99), cpu_seconds=0, every=timedelta(minutes=10)) == [[], []]


def test_a_machine_that_began_anew_is_looked_at_anew():
    assert looks(vitals(busy=900, total=1000), vitals(busy=950, total=1050, boot=2), cpu_seconds=0) == [[], []]


def test_a_cpu_that_was_not_read_has_not_ended():
    first, second, third = busy(0.99, 0.99)
    told = looks(first, second, third.with_(boot=2), cpu_seconds=0)
    assert told[1:] == [[("HostHighCpuLoad", False)], []]


def test_page_cache_is_no_shortage_of_memory():
    full = vitals(memory_available=GIB // 2)
    told = looks(vitals(), full, full, full, vitals(), memory_seconds=60)
    assert told == [[], [], [], [("HostOutOfMemory", False)], [("HostOutOfMemory", True)]]


def test_bytes_and_inodes_are_told_of_by_mount_and_what_was_not_read_has_not_ended():
    full = MountUse(mount="/", device="/dev/sda1", bytes_used=90, bytes_available=10, inodes_total=100, inodes_free=5)
    free = full.with_(bytes_used=10, bytes_available=90, inodes_free=90)
    told = looks(vitals(mounts=(full,)), vitals(unread=("file systems",)), vitals(mounts=(free,)))
    both = [("HostOutOfDiskSpace", False), ("HostOutOfInodes", False)]
    assert told == [both, [], [(name, True) for name, _ in both]]


def test_a_kill_is_told_of_once():
    told = looks(vitals(oom_kills=3), vitals(oom_kills=3), vitals(oom_kills=5), vitals(oom_kills=5))
    assert told == [[], [], [("HostOomKillDetected", False)], []]


def test_a_host_that_is_silent_keeps_none_of_the_others_from_being_heard_and_clears_nothing():
    full = vitals(mounts=(MountUse(mount="/", device="/dev/sda1", bytes_used=90, bytes_available=10),))
    said = Said({"web1": [full, Transient("away"), full], "web2": [vitals(), full, full]})
    poller = Row(VitalsPoller(said, ("web1", "web2"), VitalRules(), PERIOD, PERIOD))
    poller.ask(AT)
    heard = poller.ask(AT + PERIOD)
    assert [(one.labels["host"], one.resolved) for one in heard if not isinstance(one, Silent)] == [("web2", False)]
    assert [one.field for one in heard if isinstance(one, Silent)] == ["web1"]


def test_who_was_silent_is_asked_last_and_a_silence_is_no_part_of_what_has_lasted():
    full = vitals(memory_available=GIB // 2)
    away = [Transient("away")] * 4
    assert looks(full, full, *away, full, full, full, memory_seconds=60)[-3:] == [[], [], [("HostOutOfMemory", False)]]
    said = Said({"web1": [Transient("away"), full], "web2": [full, full]})
    poller = Row(VitalsPoller(said, ("web1", "web2"), VitalRules(), PERIOD, PERIOD))
    poller.ask(AT)
    assert poller.memory["silent"] == ["web1"]


def test_a_host_that_is_looked_at_no_more_is_forgotten_and_so_is_what_nobody_can_read():
    full = vitals(mounts=(MountUse(mount="/", device="/dev/sda1", bytes_used=90, bytes_available=10),))
    said = Said({"web1": [full], "web2": [full, full, full]})
    first = Row(VitalsPoller(said, ("web1", "web2"), VitalRules(), PERIOD, PERIOD))
    first.ask(AT)
    assert sorted(first.memory["seen"]) == sorted(first.memory["ticks"]) == ["web1", "web2"]
    left = Row(VitalsPoller(said, ("web2",), VitalRules(), PERIOD, PERIOD), first.memory)
    left.ask(AT + PERIOD)
    assert list(left.memory["seen"]) == list(left.memory["ticks"]) == ["web2"]
    later = Row(left.poller, {**left.memory, "of a later release": 1})
    assert [one.name for one in later.ask(AT + 2 * PERIOD) if isinstance(one, Alert)] == ["HostOutOfDiskSpace"]


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        ("HostHighCpuLoad", "cpu_saturation"), ("HostOutOfMemory", "memory_pressure"), ("HostOutOfDiskSpace", "disk_pressure"),
        ("HostOutOfInodes", "inode_exhaustion"), ("HostOomKillDetected", "oom_kill"),
    ],
)  # fmt: skip
def test_each_has_the_route_that_node_exporter_s_alert_has(name, signal):
    from byteport.engine.routing import signal_by

    alert = Alert(
        source="vitals",
        name=name,
        fired_at=AT,
        condition="c",
        labels={"instance": "web1", "mountpoint": "/", "device": "d"},
    )
    route = next(route for route in default_routes() if not route.why_not(alert))
    key = "web1:/" if "mountpoint" in str(route.target) else "web1"
    assert (signal_by(route, alert).name, signal_by(route, alert).target.key) == (signal, key)
