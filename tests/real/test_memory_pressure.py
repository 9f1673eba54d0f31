"""The page on a host's memory before a real host: a service that eats memory is really restarted, or really not.

The host's /proc/meminfo is a file of the test's, for the memory is the whole machine's: what the service eats is real, and
it is what changes the file. Its processes are told to be two hours older than they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.host_inventory import InventoryFiles
from byteport.adapters.host_memory import HostMemory
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.adapters.system_units import SystemUnitsOf
from byteport.model.facts.memory import MIB, TopMemory
from byteport.records.incident import Phase
from byteport.runbooks.linux.memory_pressure import RUNBOOK
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.machine import Machine
from tests.pages.shelf import HOST, Shelf
from tests.real.hosts import service, shown, way_to
from tests.servers import eventually

UNITS = ("eater.service", "flaps.service", "kept.service")
GONE = "MemTotal: 1000000 kB\\nMemFree: 9000 kB\\nMemAvailable: 20000 kB\\n"
BACK = "MemTotal: 1000000 kB\\nMemFree: 300000 kB\\nMemAvailable: 600000 kB\\n"
EATS = """
if [ -e /run/test/{name} ]; then size={later}; printf '{after}' >/run/test/meminfo
else size=280M; touch /run/test/{name}; printf '{before}' >/run/test/meminfo; fi
{{ head -c $size /dev/zero; {then}; }} | tail >/dev/null
"""


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running() as one:
        assert RUNBOOK.as_root is not None
        one.install_sudoers(sudoers(RUNBOOK.name, one.user, RUNBOOK.as_root({}, UNITS)))
        one.as_root("mkdir", "-p", "/run/test", "/etc/byteport")
        (one.root / "etc/byteport/host.yaml").write_text("byteport.io/auto-remediate: memory\n")
        one.as_root("sh", "-c", f"printf '{GONE}' >/run/test/meminfo")
        one.as_root("mount", "--bind", "/run/test/meminfo", "/proc/meminfo")
        yield one


class Older(HostMemory):
    """Two hours more."""

    def top(self, host: str) -> TopMemory:
        seen = super().top(host)
        return seen.with_(consumers=tuple(one.with_(age=one.age + 7200) for one in seen.consumers))


class Host(Shelf):
    """With a host that is there."""

    real: Any = None

    def more_looks(self) -> dict[str, Any]:
        return self.real

    def wait_of(self, incident: str) -> float:
        """The ledger's time may be moved, a host's may not: what was begun there comes first."""
        ports: Any = SimpleNamespace(**self.real)
        for intent in self.ledger.intents_of(incident):
            if intent.outcome is None and intent.attempts:
                eventually(lambda one=intent: one.action.holds(ports, one) or one.action.failed(ports, one), within=30)
                return super().wait_of(incident)
        return super().wait_of(incident)

    def more_acts(self) -> dict[str, Any]:
        return {"system_units": self.real["system_units"]}


@pytest.fixture
def host(ledger_url: str, redis_url: str, web) -> Iterator[Host]:
    migrate(ledger_url)
    ledger, budgets, hosts = PostgresLedger(ledger_url), RedisBudgets(redis_url), way_to(web)
    one = Host(ledger, budgets, None, ledger_url, redis_url)  # type: ignore[arg-type]
    one.real = {
        "memory": Older(hosts), "system_units": SystemUnitsOf(hosts), "inventories": InventoryFiles(hosts, {HOST: "web"}),
    }  # fmt: skip
    yield one
    hosts.close()
    ledger.close()
    budgets.close()


def eats(web: Machine, name: str, label: str = "safe", then: str = "exec sleep 1000", later: str = "20M") -> str:
    """A service that holds 280 MiB until it is restarted, and its invocation."""
    web.as_root("rm", "-f", f"/run/test/{name}")
    does = EATS.format(name=name, later=later, before=GONE, after=BACK, then=then)
    service(web, name, does, label=label, more=["Restart=always", "RestartSec=100ms"] if "exit" in then else ())
    unit = f"{name}.service"
    hosts = way_to(web)
    eventually(lambda: (one := HostMemory(hosts).top(HOST).of(unit)) and one.rss > 260 * MIB, within=20)
    hosts.close()
    return shown(web, unit, "InvocationID")


def test_a_service_that_eats_memory_is_really_restarted(host, web):
    was = eats(web, "eater")
    host.remembers(60, eater=50)
    incident = host.treat()
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "leaking_service")
    assert shown(web, "eater.service", "InvocationID") not in ("", was)
    assert shown(web, "eater.service", "ActiveState") == "active"
    told = host.heard(incident, "pre_restart_audit")[0]
    assert "processes" in told
    assert "open files and" in told  # of root's processes: by sudo
    assert "they need root" not in told
    web.as_root("systemctl", "stop", "eater.service")


def test_one_without_the_label_is_never_touched(host, web):
    was = eats(web, "kept", label="")
    host.remembers(60, kept=50)
    incident = host.treat()
    assert incident.phase is Phase.ESCALATE
    assert "does not carry byteport.restart=safe" in incident.reason
    assert shown(web, "kept.service", "InvocationID") == was
    web.as_root("systemctl", "stop", "kept.service")


def test_one_that_comes_up_only_to_end_again_has_not_been_helped(host, web):
    eats(web, "flaps", then="[ $size = 280M ] && exec sleep 1000; exit 1", later="1M")
    host.remembers(60, flaps=50)
    incident = host.treat()
    assert incident.phase is Phase.ESCALATE
    assert "restart failed" in incident.reason
    web.as_root("systemctl", "stop", "flaps.service")


def test_a_host_whose_people_did_not_opt_in_is_left_alone(host, web):
    was = eats(web, "eater")
    inventory = web.root / "etc/byteport/host.yaml"
    inventory.write_text("byteport.io/auto-remediate: cpu\n")
    try:
        host.remembers(60, eater=50)
        incident = host.treat()
    finally:
        inventory.write_text("byteport.io/auto-remediate: memory\n")
    assert "host_opt_in" in host.refusals(incident)
    assert shown(web, "eater.service", "InvocationID") == was
    web.as_root("systemctl", "stop", "eater.service")


def test_open_files_of_others_are_not_seen_without_sudo_and_that_is_said(host, web):
    eats(web, "kept", label="")
    web.install_sudoers([])
    try:
        seen = host.real["memory"].audit(HOST)
    finally:
        web.install_sudoers(sudoers(RUNBOOK.name, web.user, RUNBOOK.as_root({}, UNITS)))
    assert seen.of("kept.service")
    assert all(one.sockets is None for one in seen.of("kept.service"))
    assert "need root, or find by sudo" in seen.lacks[0]
    web.as_root("systemctl", "stop", "kept.service")
