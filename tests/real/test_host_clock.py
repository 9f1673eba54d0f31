"""A host whose clock is an hour off: what is old there is old by its own clock, and what BytePort remembers by the
ledger's.

What the ordinary user's login runs is told another time by libfaketime, and what it runs by sudo too, although sudo
forgets the login's environment: the host's sudoers name an env_file. The kernel and the service manager keep the machine's
time, so that the files' dates are written here as such a host would have written them. Nothing here is proven of a clock
that is set to another time after the files were written: no host can tell how old they are then.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from byteport.actions.units import RestartUnit
from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.host_memory import HostMemory
from byteport.adapters.host_releases import HostReleases
from byteport.adapters.hosts import Hosts
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.adapters.system_units import SystemUnitsOf
from byteport.model.privileged import restarts
from byteport.runbooks.linux.disk_pressure_auto_cleanup import RUNBOOK
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.machine import Machine
from tests.pages.full_disk import Site, full, site
from tests.real.hosts import HOST, service, way_to
from tests.scratch import Old, Scratch
from tests.servers import eventually

HOUR = 3600.0
CLOCKS = [pytest.param(HOUR, id="ahead"), pytest.param(-HOUR, id="behind")]
UNITS = "/etc/systemd/system"
MINUTES = (30, 90)  # since the two releases
SLACK = 150.0  # seconds that a host may take to boot and be asked


def dated(path: str, megabytes: float, age: float, off: float, fill: bytes = b"x") -> Old:
    """A file that is so many seconds old on the clock of a host that is `off`."""
    return Old(path, megabytes, days=(age - off) / 86_400, fill=fill)


def release(minutes: int, off: float) -> Iterator[Old]:
    """A unit and what it runs, as they were installed then; each fills a block of its own."""
    text = f"[Service]\nExecStart={UNITS}/shop{minutes}.bin\n".encode().ljust(64 * 1024, b"\n")
    yield dated(f"shop{minutes}.service", 1 / 16, minutes * 60, off, text)
    yield dated(f"shop{minutes}.bin", 1 / 16, minutes * 60, off)


def set_clock(web: Machine, off: float) -> None:
    """For all that a login runs from now on, and for all that it runs by sudo."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    (web.root / "usr/lib/another-time.so").write_bytes(library.read_bytes())
    words = ("LD_PRELOAD=/usr/lib/another-time.so", f"FAKETIME={off:+.0f}s", "FAKETIME_DONT_FAKE_MONOTONIC=1")
    (web.root / "etc/ssh/sshd_config.d/clock.conf").write_text(f"SetEnv {' '.join(words)}\n")
    (web.root / "etc/another-time").write_text("\n".join([*words, ""]))
    told = web.root / "etc/sudoers.d/clock"
    told.write_text(f"Defaults env_file=/etc/another-time\n{web.user} ALL=(root) NOPASSWD: /usr/bin/date +%s\n")
    told.chmod(0o440)
    web.as_root("systemctl", "restart", "ssh.service")


def its_clocks_are(hosts: Hosts, off: float) -> None:
    """The login's and root's, against this machine's."""
    for words in (("date", "+%s"), ("sudo", "-n", "/usr/bin/date", "+%s")):
        told = hosts.get(HOST).run(words, within=timedelta(seconds=10))
        assert told.status == 0, told
        assert abs(float(told.stdout) - time.time() - off) < 10, words


@pytest.fixture(scope="module", params=CLOCKS)
def web(request: pytest.FixtureRequest) -> Iterator[tuple[Machine, float]]:
    off: float = request.param
    files = tuple(file for minutes in MINUTES for file in release(minutes, off))
    with machine.running({UNITS: Scratch("ext4", 16, files=files)}) as one:
        one.install_sudoers(sudoers("a_page", one.user, restarts(["quiet.service"])))
        set_clock(one, off)
        yield one, off


@pytest.fixture
def hosts(web: tuple[Machine, float]) -> Iterator[Hosts]:
    found = way_to(web[0])
    its_clocks_are(found, web[1])
    yield found
    found.close()


def test_a_release_is_as_old_as_the_hosts_own_clock_says(hosts):
    for minutes in MINUTES:
        found = HostReleases(hosts).newest(HOST, f"shop{minutes}.service")
        assert found.what.startswith(f"{UNITS}/shop{minutes}."), found
        assert minutes * 60 - 5 <= found.age <= minutes * 60 + SLACK


def test_how_long_a_service_has_run_is_not_a_matter_of_the_clock(hosts, web):
    units = SystemUnitsOf(hosts)
    service(web[0], "quiet", "exec sleep 1000", label="safe")
    found = eventually(lambda: (one := units.unit(HOST, "quiet.service")) and one.sub == "running" and one)
    assert 0 <= found.up_seconds < 60
    seen = eventually(lambda: HostMemory(hosts).top(HOST).of("quiet.service"))
    assert 0 <= seen.age < 60


def test_a_restart_there_is_seen_to_be_over_as_anywhere(hosts, web):
    ports: Any = SimpleNamespace(system_units=SystemUnitsOf(hosts))
    service(web[0], "quiet", "exec sleep 1000", label="safe")
    was = eventually(lambda: (one := ports.system_units.unit(HOST, "quiet.service")) and one.main_pid and one)
    action = RestartUnit(host=HOST, unit="quiet.service", group="web")
    intent: Any = SimpleNamespace(pre_state=action.look_before(ports), key="inc-1/0/do", attempts=1, effect=None)
    intent.effect = action.apply(ports, intent)
    assert not action.holds(ports, intent), "it has not been up for long enough"
    eventually(lambda: action.holds(ports, intent), within=20)
    assert ports.system_units.unit(HOST, "quiet.service").invocation != was.invocation


@contextmanager
def cleaned(off: float, ledger_url: str, redis_url: str) -> Iterator[Site]:
    """Half an hour on this side of the week after which /var/tmp is swept, and half an hour on the other."""
    week = 7 * 86_400
    files = (
        dated("tmp/old.bin", 10, week + 1800, off),
        dated("tmp/young.bin", 5, week - 1800, off),
        Old("lib/shop/data.bin", 23.5),
    )
    migrate(ledger_url)
    with ExitStack() as undo:
        ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
        undo.callback(ledger.close)
        undo.callback(budgets.close)
        made = undo.enter_context(site(RUNBOOK, ledger, budgets, ledger_url, redis_url, {"/var": full(*files)}))
        set_clock(made.machine, off)
        its_clocks_are(made.hosts, off)
        yield made


@pytest.mark.timeout(240)
@pytest.mark.parametrize("off", CLOCKS)
def test_a_sweep_takes_what_is_old_there_and_the_cooldown_is_the_ledgers(off, ledger_url, redis_url):
    with cleaned(off, ledger_url, redis_url) as made:
        ended = made.treat()
        assert ended.ending == "resolved", made.story(ended)
        assert made.there("/var/tmp/old.bin", "/var/tmp/young.bin") == [False, True], made.story(ended)
        made.machine.as_root("fallocate", "-l", "10M", "/var/lib/shop/more.bin")
        again = made.treat()
        assert made.refusals(again) == ["runbook_cooldown"], made.story(again)
        assert re.search("in cooldown for another (59.|600) s", again.reason), again.reason
        for passed, refused in (23.5 * HOUR, ["host_cooldown_24h"]), (HOUR, []):
            later(made, passed)  # with an hour of the host's, either would be on the other side of the day
            again = made.treat()
            assert made.refusals(again) == refused, made.story(again)
        assert made.there("/var/tmp/young.bin") == [True]


def later(made: Site, seconds: float) -> None:
    """By the ledger, which tells Redis anew; at the host no time has passed."""
    made.let_pass(seconds)
    with redis.Redis.from_url(made.redis_url) as server:
        server.flushall()
