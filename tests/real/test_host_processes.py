"""Processes of a real host, looked at by its ordinary user: which service each belongs to, and what cannot be seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from byteport.adapters.host_processes import ProcfsOf
from tests import machine
from tests.machine import Machine
from tests.real.hosts import HOST, service, shown, way_to
from tests.servers import eventually

SPINS = "while :; do :; done"
LENGTH = timedelta(seconds=2)


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running() as one:
        yield one


@pytest.fixture
def processes(web) -> Iterator[ProcfsOf]:
    hosts = way_to(web)
    yield ProcfsOf(hosts)
    hosts.close()


def test_a_busy_service_is_found_by_its_unit(processes, web):
    service(web, "hog", f"({SPINS}) & {SPINS}")
    eventually(lambda: shown(web, "hog.service", "SubState") == "running")
    told = processes.top(HOST, LENGTH)
    assert told.of("hog.service") > 10
    mine = [one for one in told.processes if one.unit == "hog.service"]
    assert len(mine) == 2
    assert int(shown(web, "hog.service", "MainPID")) in {one.pid for one in mine}
    assert {(one.name, one.user, one.pod) for one in mine} == {("hog.sh", "root", False)}
    web.as_root("systemctl", "stop", "hog.service")
    assert processes.top(HOST, LENGTH).of("hog.service") == 0


def test_a_service_of_the_users_own_manager_is_none_of_the_systems(processes, web):
    web.as_user("systemd-run", "--user", "--unit=mine", "/bin/sh", "-c", SPINS)
    try:
        found = eventually(
            lambda: [p for p in processes.top(HOST, LENGTH).processes if p.user == web.user and p.percent > 5]
        )
        assert {one.unit for one in found} == {""}
        assert all("user@" in one.cgroup for one in found)
    finally:
        web.as_user("systemctl", "--user", "stop", "mine.service")


def test_a_process_that_calls_itself_a_service_stays_where_it_is(processes, web):
    forged = "printf '\\n1 (x) R 0 /system.slice/hog' >/proc/$$/comm; " + SPINS
    service(web, "hostile", forged)
    eventually(lambda: shown(web, "hostile.service", "SubState") == "running")
    told = processes.top(HOST, LENGTH)
    (one,) = [one for one in told.processes if one.unit == "hostile.service"]
    assert one.pid == int(shown(web, "hostile.service", "MainPID"))
    assert one.name.startswith("?1 (x) R 0 /sy")
    assert told.of("hog.service") == 0
    web.as_root("systemctl", "stop", "hostile.service")


def test_hidden_processes_are_said_to_be_hidden(processes, web):
    web.as_root("mount", "-o", "remount,hidepid=2", "/proc")
    try:
        assert processes.top(HOST, LENGTH).unread == ("the processes of other users (hidepid)",)
    finally:
        web.as_root("mount", "-o", "remount,hidepid=0", "/proc")
    assert processes.top(HOST, LENGTH).unread == ()
