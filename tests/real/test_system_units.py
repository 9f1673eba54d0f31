"""System services of a real host: what they are, what their files allow, restarting them and weighing them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from byteport.actions.units import DemoteUnit, RestartUnit, RestoreUnitWeight
from byteport.adapters.system_units import SystemUnitsOf
from byteport.errors import Denied, Permanent
from byteport.grammar.action import Effect
from byteport.model.privileged import restarts, weights
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.machine import Machine
from tests.real.hosts import HOST, opt_in, service, shown, way_to
from tests.servers import eventually

SLEEPS = "exec sleep 1000"
ALLOWED = [f"{name}.service" for name in ("quiet", "flaps", "dies", "gone", "weighed", "stubborn", "at@1")]


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running() as one:
        one.install_sudoers(sudoers("a_page", one.user, [*restarts(ALLOWED), *weights(ALLOWED, 20, None)]))
        yield one


@pytest.fixture
def units(web) -> Iterator[SystemUnitsOf]:
    hosts = way_to(web)
    yield SystemUnitsOf(hosts)
    hosts.close()


@dataclass
class Intent:
    """What an action may know of its intent."""

    pre_state: Any
    key: str = "inc-1/0/do"
    attempts: int = 1
    effect: Effect | None = field(default_factory=Effect)


def ports(units: SystemUnitsOf) -> Any:
    return SimpleNamespace(system_units=units)


def runs(units: SystemUnitsOf, name: str):
    return eventually(lambda: (found := units.unit(HOST, name)) and found.sub == "running" and found)


def restart(units: SystemUnitsOf, name: str) -> tuple[RestartUnit, Intent]:
    action = RestartUnit(host=HOST, unit=name, group="web")
    intent = Intent(action.look_before(ports(units)))
    assert not action.holds(ports(units), intent)
    intent.effect = action.apply(ports(units), intent)
    return action, intent


def test_a_service_is_told_as_it_is(units, web):
    service(web, "quiet", SLEEPS, label="safe")
    found = runs(units, "quiet.service")
    assert (found.why, found.active, found.command, found.label) == ("", "active", "sleep", "safe")
    assert found.main_pid == int(shown(web, "quiet.service", "MainPID"))
    assert found.invocation == shown(web, "quiet.service", "InvocationID")
    assert found.cpu_weight is None
    assert 0 <= found.up_seconds < 60
    assert units.unit(HOST, "nowhere.service") is None


def test_a_restart_is_over_when_it_runs_under_another_invocation_and_stays_up(units, web):
    service(web, "quiet", SLEEPS, label="safe")
    before = runs(units, "quiet.service")
    action, intent = restart(units, "quiet.service")
    eventually(lambda: action.holds(ports(units), intent), within=20)
    after = units.unit(HOST, "quiet.service")
    assert after.invocation != before.invocation
    assert after.main_pid != before.main_pid
    assert after.up_seconds >= 5
    assert action.failed(ports(units), intent) == ""
    with pytest.raises(Permanent, match="started anew or stopped by somebody"):
        action.apply(ports(units), intent)
    assert units.unit(HOST, "quiet.service").invocation == after.invocation


def test_one_that_does_not_stay_up_has_failed(units, web):
    """It comes up and ends at once, and its service manager tries it again until it has had enough."""
    flaps = ("Restart=always", "RestartSec=100ms")
    service(web, "flaps", f"[ -e /run/broken ] && exit 7; {SLEEPS}", label="safe", more=flaps)
    runs(units, "flaps.service")
    (web.root / "run").mkdir(exist_ok=True)
    web.as_root("touch", "/run/broken")
    action, intent = restart(units, "flaps.service")
    held: list[bool] = []
    eventually(
        lambda: held.append(action.holds(ports(units), intent)) or action.failed(ports(units), intent), within=30
    )
    assert not any(held)
    assert shown(web, "flaps.service", "Result") in ("exit-code", "start-limit-hit")


def test_one_that_flaps_without_end_has_failed_too(units, web):
    service(web, "flaps", f"[ -e /run/broken ] && exit 7; {SLEEPS}",
            more=("Restart=always", "RestartSec=300ms", "[Unit]", "StartLimitIntervalSec=0"))  # fmt: skip
    web.as_root("rm", "-f", "/run/broken")
    web.as_root("systemctl", "reset-failed", "flaps.service")
    web.as_root("systemctl", "restart", "flaps.service")
    runs(units, "flaps.service")
    web.as_root("touch", "/run/broken")
    action, intent = restart(units, "flaps.service")
    why = eventually(lambda: action.failed(ports(units), intent), within=30)
    assert "does not stay up" in why
    web.as_root("systemctl", "stop", "flaps.service")


def test_one_that_somebody_stopped_is_not_started(units, web):
    service(web, "gone", SLEEPS, label="safe")
    runs(units, "gone.service")
    action = RestartUnit(host=HOST, unit="gone.service", group="web")
    intent = Intent(action.look_before(ports(units)))
    web.as_root("systemctl", "stop", "gone.service")
    with pytest.raises(Permanent, match="stopped by somebody"):
        action.apply(ports(units), intent)
    units.restart(HOST, "gone.service", units.unit(HOST, "gone.service").invocation, "try-restart")
    assert units.unit(HOST, "gone.service").active == "inactive"
    assert not action.holds(ports(units), intent)
    assert "does not run any more" in action.failed(ports(units), intent)


def test_one_that_somebody_has_started_anew_is_so_already(units, web):
    service(web, "quiet", SLEEPS, label="safe")
    runs(units, "quiet.service")
    action = RestartUnit(host=HOST, unit="quiet.service", group="web")
    intent = Intent(action.look_before(ports(units)))
    web.as_root("systemctl", "restart", "quiet.service")
    eventually(lambda: action.holds(ports(units), intent), within=20)


def test_a_weight_is_set_and_taken_back_and_the_label_still_counts(units, web):
    service(web, "weighed", SLEEPS, label="safe")
    runs(units, "weighed.service")
    unset = shown(web, "weighed.service", "CPUWeight")
    demote = DemoteUnit(host=HOST, unit="weighed.service", group="web")
    intent = Intent(demote.look_before(ports(units)))
    assert intent.pre_state["cpu_weight"] is None
    demote.apply(ports(units), intent)
    assert demote.holds(ports(units), intent)
    assert shown(web, "weighed.service", "CPUWeight") == "20"
    assert units.unit(HOST, "weighed.service").is_opted_in
    assert not demote.reverted(ports(units), intent)
    restore = RestoreUnitWeight(host=HOST, unit="weighed.service", group="web", was=20, to=None)
    assert not restore.holds(ports(units), intent)
    restore.apply(ports(units), intent)
    assert restore.holds(ports(units), intent)
    assert shown(web, "weighed.service", "CPUWeight") == unset
    assert demote.reverted(ports(units), intent)


def test_a_weight_that_somebody_has_set_since_stays(units, web):
    service(web, "weighed", SLEEPS)
    web.as_root("systemctl", "set-property", "--runtime", "weighed.service", "CPUWeight=300")
    restore = RestoreUnitWeight(host=HOST, unit="weighed.service", group="web", was=20, to=None)
    with pytest.raises(Permanent, match="is 300 by now"):
        restore.apply(ports(units), Intent({}))
    assert shown(web, "weighed.service", "CPUWeight") == "300"
    web.as_root("systemctl", "set-property", "--runtime", "weighed.service", "CPUWeight=")


def test_what_sudo_does_not_let_through_is_said_with_what_would(units, web):
    service(web, "other", SLEEPS, label="safe")
    before = runs(units, "other.service")
    with pytest.raises(Denied, match=r"sudo does not let .* through .*--format sudoers"):
        units.restart(HOST, "other.service", before.invocation, "try-restart")
    with pytest.raises(Denied, match="sudo does not let"):
        units.restart(HOST, "quiet.service", units.unit(HOST, "quiet.service").invocation, "restart")
    with pytest.raises(Denied, match="sudo does not let"):
        units.set_cpu_weight(HOST, "quiet.service", None, 30)
    assert units.unit(HOST, "other.service").invocation == before.invocation


def test_the_label_counts_where_only_root_could_have_written_it(units, web):
    for name in ("in-drop-in", "in-unit", "loose-file", "loose-folder", "linked", "wrong-section", "another", "reset"):
        service(
            web, name, SLEEPS, label="safe" if name in ("in-drop-in", "loose-file", "loose-folder", "reset") else ""
        )
    folder = web.root / "etc/systemd/system"
    with (folder / "in-unit.service").open("a") as file:
        file.write("[Unit]\nX-Byteport-Restart = safe\n")
    (folder / "loose-file.service.d/byteport.conf").chmod(0o646)
    (folder / "loose-folder.service.d").chmod(0o757)
    with (folder / "wrong-section.service").open("a") as file:
        file.write("X-Byteport-Restart=safe\n")
    opt_in(web, "another.service", "careful")
    (folder / "reset.service.d/later.conf").write_text("[Unit]\nX-Byteport-Restart=\n")
    written_by_others = web.root / "home/byteport/linked.service"
    written_by_others.write_text(
        "[Unit]\n# /etc/systemd/system/linked.service\nX-Byteport-Restart=safe\n[Service]\nExecStart=/bin/true\n"
    )
    (folder / "linked.service").unlink()
    web.as_root("systemctl", "link", "/home/byteport/linked.service")
    web.as_root("systemctl", "daemon-reload")
    found = {name: units.unit(HOST, f"{name}.service") for name in (
        "in-drop-in", "in-unit", "loose-file", "loose-folder", "linked", "wrong-section", "another", "reset")}  # fmt: skip
    assert {name for name, unit in found.items() if unit.is_opted_in} == {"in-drop-in", "in-unit"}
    assert found["another"].label == "careful"
    assert "can be written by others" in found["loose-file"].why
    assert "can be written by others" in found["loose-folder"].why
    assert "is no file of the system's service manager" in found["linked"].why
    told = units.labelled(HOST)
    assert {"in-drop-in.service", "in-unit.service"} <= {unit.name for unit in told.units if unit.is_opted_in}
    assert not {"linked.service", "reset.service", "wrong-section.service"} & {
        u.name for u in told.units if u.is_opted_in
    }


def test_instances_of_a_template_have_names_of_their_own(units, web):
    folder = web.root / "etc/systemd/system"
    (folder / "at@.service").write_text("[Service]\nExecStart=/bin/sleep 1000\n")
    opt_in(web, "at@.service")
    web.as_root("systemctl", "daemon-reload")
    web.as_root("systemctl", "start", "at@1.service")
    assert runs(units, "at@1.service").is_opted_in
    assert units.labelled(HOST).of("at@1.service") is not None
    action, intent = restart(units, "at@1.service")
    eventually(lambda: action.holds(ports(units), intent), within=20)


@pytest.mark.parametrize(
    "name", ["--user", "a b.service", "x.service;id", "$(id).service", "x.socket", "../x.service", ""]
)
def test_no_other_name_reaches_the_host(units, name):
    with pytest.raises(Permanent, match="can be named exactly"):
        units.unit(HOST, name)
    with pytest.raises(Permanent, match="can be named exactly"):
        units.restart(HOST, name, "", "try-restart")


def test_the_user_itself_may_write_none_of_it(web):
    with pytest.raises(subprocess.CalledProcessError):
        web.as_user("touch", "/etc/systemd/system/quiet.service.d/byteport.conf")
