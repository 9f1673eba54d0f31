"""The page on saturated CPUs before a real host whose service really keeps them: really demoted, really restarted, or
really left alone.

A host's /proc/stat is the whole machine's, and nobody knows what else runs on it. So the service runs more loops than
there are CPUs: no reading finds one idle, however little the others do. It is nice to them, and yet its share is more
than a tenth where they are busy too. Whether the CPUs are calm afterwards is for the others to say: an incident that is
not resolved must have failed at that reading and nowhere else. Then the weight is not given back, and people are told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.host_inventory import InventoryFiles
from byteport.adapters.host_processes import ProcfsOf
from byteport.adapters.hosts import Hosts
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.adapters.system_units import SystemUnitsOf
from byteport.engine.engine import Engine
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.records.incident import Incident, Phase
from byteport.runbooks.linux.cpu_saturation import RUNBOOK
from byteport.shown.sudoers import sudoers
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests import machine
from tests.machine import Machine
from tests.pages.saturated import CHANNELS, HOST, Rack
from tests.real.hosts import service, shown, way_to
from tests.servers import eventually

UNIT = "report.service"
UNSET = "[not set]"
THRESHOLD, RECOVERED, LEAST_SHARE = 85.0, 95.0, 10.0
SHORT = {"cpu_sustain_sec": 10, "recheck_sec": 10, "cpu_recover_pct": RECOVERED}
LOOPS = (os.cpu_count() or 1) + 1
NICE = 5
LONGEST = 150  # seconds, should a test be killed: the loops end by themselves
INSIDE = "/run/test"  # what the service writes down at its host
# Its first run keeps the CPUs; the second, which only a restart begins, writes down its weight and rests.
WORKS = f"""
systemctl show --property=CPUWeight --value {UNIT} >>{INSIDE}/weights
if [ "$(wc -l <{INSIDE}/weights)" -eq 1 ]; then
  echo {NICE} >/proc/$$/autogroup
  for n in $(seq {LOOPS}); do nice -n {NICE} timeout {LONGEST} sh -c 'while :; do :; done' & done
fi
exec sleep 1000
"""


@dataclass
class Busy(Rack):
    """With a host that is there. The ledger's time may be moved, a host's may not: what was begun there comes first."""

    hosts: Hosts = field(kw_only=True)

    @property
    def ports(self) -> Any:
        return SimpleNamespace(
            processes=ProcfsOf(self.hosts), system_units=SystemUnitsOf(self.hosts), past=self.ledger,
            inventories=InventoryFiles(self.hosts, {HOST: "web"}),
        )  # fmt: skip

    def engine(self, driver: str = "") -> Engine:
        outbox = Outbox(self.ledger, dict.fromkeys((*CHANNELS, "journal"), self.notebook))
        ports = self.ports
        return Engine(
            self.ledger, self.budgets, ports, ports, Pages((RUNBOOK,)), self.policy, NoDoorbell(), outbox, driver=driver,
            has_eyes=True,
        )  # fmt: skip

    def wait_of(self, incident: str) -> float:
        for intent in self.ledger.intents_of(incident):
            if intent.outcome is None and intent.attempts:
                eventually(lambda one=intent: one.action.holds(self.ports, one), within=30)
        return super().wait_of(incident)

    def story(self, incident: Incident) -> str:
        """For whoever reads a test that failed."""
        told = [f"  {event.kind}: {event.text}" for event in self.ledger.events(incident.id)]
        return "\n".join([f"{incident.phase}, {incident.ending}: {incident.reason}", *told])

    def begun(self, incident: Incident) -> list[str]:
        return [intent.move for intent in self.ledger.intents_of(incident.id) if intent.attempts]


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running() as one:
        assert RUNBOOK.as_root is not None
        one.install_sudoers(sudoers(RUNBOOK.name, one.user, RUNBOOK.as_root({}, [UNIT])))
        yield one


@pytest.fixture
def busy(ledger_url: str, redis_url: str, web: Machine) -> Iterator[Busy]:
    migrate(ledger_url)
    ledger, budgets, hosts = PostgresLedger(ledger_url), RedisBudgets(redis_url), way_to(web)
    one = Busy(ledger, budgets, None, ledger_url, redis_url, hosts=hosts, together=True)  # type: ignore[arg-type]
    one.options(**SHORT)
    yield one
    web.as_root("systemctl", "stop", UNIT)
    web.as_root("systemctl", "set-property", "--runtime", UNIT, "CPUWeight=")
    hosts.close()
    ledger.close()
    budgets.close()


def keeps_the_cpus(web: Machine, *, host: str = "cpu", label: str = "safe") -> str:
    """The service, at work, and its invocation; `host` and `label` are what people allow."""
    web.as_root("rm", "-rf", INSIDE, f"/etc/systemd/system/{UNIT}.d")
    web.as_root("mkdir", "-p", INSIDE, "/etc/byteport")
    (web.root / "etc/byteport/host.yaml").write_text(f"byteport.io/auto-remediate: {host}\n")
    service(web, UNIT.removesuffix(".service"), WORKS, label=label)
    eventually(lambda: loops(web) == LOOPS, within=20)
    return shown(web, UNIT, "InvocationID")


def loops(web: Machine) -> int:
    return int(web.as_root("sh", "-c", "pgrep --full --exact --count 'sh -c [w]hile .*' || :"))


def weights(web: Machine) -> list[str]:
    """What the host's service manager said whenever the service was started."""
    return web.as_root("cat", f"{INSIDE}/weights").splitlines()


@pytest.mark.timeout(300)
def test_a_service_that_keeps_the_cpus_is_really_demoted_then_restarted_and_its_weight_given_back(busy, web):
    was = keeps_the_cpus(web)
    incident = busy.treat()
    told = busy.story(incident)
    assert incident.diagnosis.name == "opted_in_consumer", told
    assert busy.begun(incident)[:2] == ["demote", "restart"], told
    assert shown(web, UNIT, "InvocationID") not in ("", was), told
    assert shown(web, UNIT, "ActiveState") == "active"
    unset, demoted = weights(web)
    assert (unset, demoted) == (UNSET, "20"), "its weight as the restart found it, and no third start"
    now = busy.ports.processes.top(HOST, timedelta(seconds=2))
    assert now.of(UNIT) < LEAST_SHARE, now
    if incident.ending != "resolved":  # what keeps the CPUs by now is not of this host, and no reason to act again
        assert incident.phase is Phase.ESCALATE, told
        assert "CPU < 80%: failed" in told
        assert an_hour_later(busy, web, incident), busy.story(incident)
    else:
        assert shown(web, UNIT, "CPUWeight") == UNSET, told
    assert busy.begun(incident).count("restart") == 1, busy.story(incident)


def an_hour_later(busy: Busy, web: Machine, incident: Incident) -> bool:
    """The weight has been given back, as the CPUs are calm by now; or it has not, and people were told so."""
    travel(busy.url, 3600)
    for _ in range(30):
        if shown(web, UNIT, "CPUWeight") == UNSET:
            return True
        if "undo: demote: escalated: recovered did not come true" in busy.story(incident):
            return shown(web, UNIT, "CPUWeight") == "20"
        if busy.step(incident.id) is None and (wait := busy.wait_of(incident.id)) > 0:
            travel(busy.url, wait + 0.05)
    return False


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("allowed", "why"),
    [
        pytest.param({"host": "memory"}, "host_opt_in", id="the-host-for-other-things-only"),
        pytest.param({"label": ""}, "no_opted_in_consumer", id="the-service-not-at-all"),
    ],
)
def test_what_people_have_not_opted_in_is_found_and_left_alone(busy, web, allowed, why):
    was = keeps_the_cpus(web, **allowed)
    incident = busy.treat()
    told = busy.story(incident)
    assert why in (incident.diagnosis.name, *busy.refusals(incident.id)), told
    assert incident.phase is Phase.ESCALATE, told
    assert busy.begun(incident) == [], told
    assert shown(web, UNIT, "InvocationID") == was
    assert shown(web, UNIT, "CPUWeight") == UNSET
    assert loops(web) == LOOPS, "it keeps the CPUs still"
