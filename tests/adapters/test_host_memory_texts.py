"""What a host says of its memory, read: texts of both versions of control groups, of old kernels and of new ones."""

from __future__ import annotations

import pytest

from byteport.adapters import host_memory
from byteport.adapters.transport import Completed
from byteport.errors import Transient
from byteport.model.privileged import OPEN_FILES
from byteport.shown.sudoers import written

V2 = """version 2
path /system.slice/shop.service
current 900000000
stat anon 700000000
stat file 150000000
stat inactive_file 100000000
events low 0
events max 41
events oom 2
events oom_kill 1
events oom_group_kill 0
pids 812 813
limit 1000000000
limit max
"""
V1 = """version 1
path /system.slice/shop.service
current 900000000
stat cache 150000000
stat rss 600000000
stat inactive_file 90000000
stat total_rss 700000000
stat total_inactive_file 100000000
events oom_kill_disable 0
events under_oom 0
events oom_kill 1
pids 812 813
limit 1000000000
limit 9223372036854771712
"""


@pytest.mark.parametrize(("text", "version"), [(V2, 2), (V1, 1)])
def test_both_versions_say_the_same_with_other_names(text, version):
    seen = host_memory.group(text)
    assert (seen.version, seen.path, seen.current) == (version, "/system.slice/shop.service", 900_000_000)
    assert (seen.limit, seen.working_set, seen.anon) == (1_000_000_000, 800_000_000, 700_000_000)
    assert (seen.oom_kills, seen.pids) == (1, (812, 813))


@pytest.mark.parametrize("limits", ["limit max\n", "limit 9223372036854771712\n", "limit \n", ""])
def test_no_limit_is_none_and_not_a_huge_one(limits):
    text = "\n".join(line for line in V2.splitlines() if not line.startswith("limit ")) + "\n" + limits
    assert host_memory.group(text).limit is None


def test_a_limit_on_the_way_up_binds_too():
    assert host_memory.group(V2.replace("limit max", "limit 500000000")).limit == 500_000_000


def test_a_group_whose_file_cannot_be_read_is_not_known():
    with pytest.raises(Transient):
        host_memory.group("version 2\npath /x\ncurrent \n")


def test_all_services_of_either_version():
    v2, v1 = "/sys/fs/cgroup/system.slice/a.service", "/sys/fs/cgroup/memory/system.slice/b.service"
    seen = host_memory.groups(
        f"{v2}/memory.current:1000\n{v2}/memory.max:max\n{v2}/memory.stat:inactive_file 200\n{v2}/memory.stat:anon 700\n"
        f"{v2}/memory.events:oom_kill 0\n{v1}/memory.usage_in_bytes:5000\n{v1}/memory.limit_in_bytes:6000\n"
        f"{v1}/memory.stat:total_inactive_file 1000\n{v1}/memory.oom_control:oom_kill 3\n"
    ).groups
    assert (seen["a.service"].version, seen["a.service"].limit, seen["a.service"].working_set) == (2, None, 800)
    assert (seen["b.service"].version, seen["b.service"].limit, seen["b.service"].oom_kills) == (1, 6000, 3)


def test_services_without_accounting_are_said_to_have_none():
    assert "no memory accounting" in host_memory.groups("").why


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("some avg10=1.50 avg60=12.25 avg300=3 total=9\nfull avg10=0 avg60=4.00 avg300=0 total=1\n", (1.5, 12.25, 4.0)),
        ("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", (0, 0, 0)),
    ],
)
def test_pressure(text, seen):
    one = host_memory.stall(text)
    assert (one.some_avg10, one.some_avg60, one.full_avg60) == seen


def test_a_kernel_that_does_not_count_pressure_says_none():
    assert host_memory.stall("") is None


def test_page_cache_can_be_had():
    seen = host_memory.meminfo("MemTotal: 1000 kB\nMemFree: 20 kB\nMemAvailable: 600 kB\nCached: 700 kB\n")
    assert seen.used_pct == pytest.approx(40)
    assert seen.not_free_pct == pytest.approx(98)
    assert (seen.oom_kills, seen.swap_used) == (None, 0)


def test_a_kernel_before_3_14_estimates_by_what_it_tells():
    seen = host_memory.meminfo("MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 250 kB\n")
    assert seen.used_pct == pytest.approx(60)


def test_a_host_that_does_not_tell_is_not_well():
    for read in (host_memory.meminfo, lambda text: host_memory.top(Completed(0, text, ""))):
        with pytest.raises(Transient):
            read("")


PROCESSES = """1000.00
100
p 300000 1000 0 10 1 33 4 7 50000 /system.slice/shop.service shop: worker 1
p 200000 1000 64 11 10 33 4 0 60000 /system.slice/shop.service/worker shop
p 100000 0 0 12 1 0 1 0 100 /user.slice/user-1000.slice/user@1000.service/app.slice/x.service x
p 50000 0 0 13 1 0 1 0 100 /system.slice/docker-0a1b.scope nginx
p 40000 0 0 14 1 0 1 0 100 /system.slice/system-web.slice/web@2.service web
"""


def test_what_a_service_holds_is_the_sum_of_its_processes_without_what_they_share():
    seen = host_memory.top(Completed(0, PROCESSES, ""))
    shop = seen.of("shop.service")
    assert (shop.rss, shop.swap, shop.processes) == (498_000 * 1024, 64 * 1024, 2)
    assert (shop.pid, shop.name, shop.age) == (10, "shop: worker 1", 500.0)
    assert [one.unit for one in seen.consumers] == ["shop.service", "", "", "web@2.service"]


def test_of_more_processes_than_can_be_told_the_last_line_is_not_believed():
    seen = host_memory.top(Completed(0, PROCESSES[:-20], "", truncated=True))
    assert len(seen.processes) == 4


def test_what_cannot_be_seen_is_said_to_be_missing():
    seen = host_memory.audit(host_memory.top(Completed(0, PROCESSES, "")), "in_use 412\nlacks rights\n10 5 -\n")
    assert seen.sockets_in_use == 412
    assert [(one.pid, one.files, one.sockets) for one in seen.of("shop.service")] == [(10, 5, None), (11, None, None)]
    assert "need root, or find by sudo" in seen.lacks[0]


def test_all_of_it_is_told_in_a_line():
    seen = host_memory.audit(host_memory.top(Completed(0, PROCESSES, "")), "10 5 2\n11 4 1\n14 1 0\n")
    assert seen.lacks == ()
    assert seen.in_words("shop.service") == "2 processes, 9 open files and 3 sockets"


def test_the_words_that_sudo_is_asked_for_can_stand_in_its_file():
    line = written(OPEN_FILES)
    assert line.startswith("/usr/bin/find /proc -mindepth 3")
    assert "\n" not in line
