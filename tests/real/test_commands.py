"""Commands that the operator enabled, run detached on a real host: systemd as PID 1, its own sshd, an ordinary user."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.host_units import UserUnits
from byteport.adapters.hosts import Hosts
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.errors import Denied, Permanent
from byteport.settings.hosts import HostSection
from tests import machine, sentry_server
from tests.machine import Machine
from tests.pages.application import HOST, Desk
from tests.servers import eventually

TIME = timedelta(seconds=30)
PATH = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running() as one:
        yield one


@pytest.fixture
def hosts(web) -> Iterator[Hosts]:
    section = HostSection(address=web.address, user=web.user, key_file=web.key, known_hosts=web.known_hosts)
    hosts = Hosts({HOST: section})
    yield hosts
    hosts.close()


@pytest.fixture
def units(hosts) -> UserUnits:
    return UserUnits(hosts)


def ended(units: UserUnits, name: str):
    return eventually(lambda: (found := units.unit(HOST, name)) is not None and found.is_over and found, within=20)


def home(web: Machine, name: str) -> Path:
    return web.root / "home" / web.user / name


def test_a_command_that_ends_well_can_be_read_afterwards(units, web):
    assert units.unit(HOST, "byteport-well") is None
    units.start(HOST, "byteport-well", ("/bin/sh", "-c", "sleep 1; echo done > ~byteport/well"), PATH, TIME)
    running = units.unit(HOST, "byteport-well")
    assert running is not None
    assert not running.went_well
    assert ended(units, "byteport-well").went_well
    assert home(web, "well").read_text() == "done\n"


@pytest.mark.parametrize(
    ("name", "argv", "time", "result", "status"),
    [
        ("fails", ("/bin/sh", "-c", "exit 3"), TIME, "exit-code", 3),
        (
            "hangs",
            ("/bin/sh", "-c", "trap '' TERM; sleep 90 & sleep 90; sleep 90"),
            timedelta(seconds=1),
            "timeout",
            15,
        ),
        ("absent", ("/nowhere/tool",), TIME, "exit-code", 127),
    ],
)
def test_one_that_does_not_says_how(units, name, argv, time, result, status):
    units.start(HOST, f"byteport-{name}", argv, PATH, time)
    found = eventually(
        lambda: (one := units.unit(HOST, f"byteport-{name}")) is not None and one.active == "failed" and one, within=30
    )
    assert (found.result, found.is_over, found.went_well) == (result, True, False)
    assert status == found.status or result == "timeout"


def test_a_name_is_started_once_whatever_became_of_it(units, web):
    once = ("/bin/sh", "-c", "echo once >> ~byteport/count")
    units.start(HOST, "byteport-once", once, PATH, TIME)
    ended(units, "byteport-once")
    with pytest.raises(Permanent, match="already"):
        units.start(HOST, "byteport-once", once, PATH, TIME)
    units.start(HOST, "byteport-once-failed", ("/bin/false",), PATH, TIME)
    assert ended(units, "byteport-once-failed").active == "failed"
    with pytest.raises(Permanent, match="already"):
        units.start(HOST, "byteport-once-failed", once, PATH, TIME)
    assert home(web, "count").read_text() == "once\n"


def test_its_words_and_its_environment_are_what_the_configuration_says_and_nothing_else(units, web):
    words = ("$HOME", "${PATH}", "%h", "a b", "it's", "", "$$", "\\n", "ü", "x\ny")
    script = "printf '%s\\0' \"$@\" > ~byteport/words; env -0 > ~byteport/environment"
    given = {"PATH": "/usr/bin:/bin", "KUBECONFIG": "/home/byteport/$HOME %h/config"}
    units.start(HOST, "byteport-words", ("/bin/sh", "-c", script, "sh", *words), given, TIME)
    assert ended(units, "byteport-words").went_well
    assert home(web, "words").read_text().split("\0")[:-1] == list(words)
    told = dict(line.split("=", 1) for line in home(web, "environment").read_text().split("\0") if line)
    assert {name: told[name] for name in given} == given
    assert set(told) - set(given) <= {"PWD", "SHLVL", "_", "OLDPWD"}  # the shell's own


def test_it_goes_on_when_nobody_is_connected(units, hosts, web):
    units.start(HOST, "byteport-alone", ("/bin/sh", "-c", "sleep 2; echo on > ~byteport/alone"), PATH, TIME)
    hosts.get(HOST).close()
    eventually(home(web, "alone").exists, within=10)
    assert units.unit(HOST, "byteport-alone").went_well


def test_it_has_the_rights_of_an_ordinary_user(units, web):
    script = (
        "id -un > ~byteport/who; sudo -n true || echo none >> ~byteport/who; touch /etc/x || echo none >> ~byteport/who"
    )
    units.start(HOST, "byteport-who", ("/bin/sh", "-c", script), PATH, TIME)
    ended(units, "byteport-who")
    assert home(web, "who").read_text().split() == ["byteport", "none", "none"]


@pytest.mark.parametrize("name", ["other", "byteport-a b", "byteport-../x", "--user", "byteport-"])
def test_no_other_unit_can_be_named(units, name):
    with pytest.raises(Permanent, match="is no name of a unit of ours"):
        units.unit(HOST, name)
    with pytest.raises(Permanent, match="is no name of a unit of ours"):
        units.start(HOST, name, ("/bin/true",), PATH, TIME)


@pytest.mark.parametrize("argv", [(), ("true",), ("sh -c true",)])
def test_a_command_begins_with_an_absolute_path(units, argv):
    with pytest.raises(Permanent, match="absolute path"):
        units.start(HOST, "byteport-relative", argv, PATH, TIME)


def test_a_user_who_does_not_linger_starts_nothing(units, web):
    """Its service manager runs while somebody is connected, and takes its units along when nobody is."""
    web.as_root("loginctl", "disable-linger", web.user)
    try:
        with pytest.raises(Denied, match="enable-linger"):
            units.start(HOST, "byteport-asleep", ("/bin/true",), PATH, TIME)
    finally:
        web.as_root("loginctl", "enable-linger", web.user)
    assert units.unit(HOST, "byteport-asleep") is None


# ── the page on application errors, with a host that is there ────────────────────────────────────────────────────────


@pytest.fixture
def desk(ledger_url: str, redis_url: str, units) -> Iterator[Desk]:
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    with sentry_server.running() as sentry:
        one = Desk(ledger, budgets, None, ledger_url, redis_url, sentry=sentry)  # type: ignore[arg-type]
        one.correlated()
        one.manager = units
        yield one
    ledger.close()
    budgets.close()


def rolls_back(desk: Desk, script: str) -> None:
    """The operator's own tool, given an explicit revision."""
    desk.options(rollbackCommand=["/bin/sh", "-c", script, "rollback", "41"])


def test_errors_that_a_deploy_brought_are_ended_by_the_operators_command(desk, units, web):
    rolls_back(desk, f"echo rolled back to $1 >> {shlex.quote(f'/home/{web.user}/rolled')}")

    def start(*told) -> None:
        units.start(*told)
        eventually(home(web, "rolled").exists)
        desk.calm()

    desk.manager = SimpleNamespace(unit=units.unit, start=start)
    incident = desk.treat()
    assert incident.ending == "resolved"
    assert home(web, "rolled").read_text() == "rolled back to 41\n"


def test_a_rollback_that_fails_there_is_told_with_its_status(desk, web):
    rolls_back(desk, "echo once >> ~byteport/tried; exit 4")
    incident = desk.treat()
    assert (incident.ending, incident.phase) == ("", "escalate")
    assert "exit status 4" in incident.reason
    assert home(web, "tried").read_text() == "once\n"


def test_a_host_that_is_not_configured_runs_nothing(desk):
    desk.options(commandHost="elsewhere")
    incident = desk.treat()
    assert incident.phase == "escalate"
    assert "none of the configuration's hosts" in incident.reason
