"""A real host that is short of memory: its /proc/meminfo is a file of the test's, for the memory is the whole machine's.

What its services eat is real, and it is they who change the file. Its processes are told to be two hours older than they
are; what was begun there takes as long as it takes.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from byteport.adapters.host_inventory import InventoryFiles
from byteport.adapters.host_memory import HostMemory
from byteport.adapters.host_releases import HostReleases
from byteport.adapters.hosts import Hosts
from byteport.adapters.system_units import SystemUnitsOf
from byteport.model.facts.memory import MIB, TopMemory
from tests.machine import Machine
from tests.pages.shelf import HOST, Shelf
from tests.real.hosts import service, shown, way_to
from tests.servers import eventually

GONE = "MemTotal: 1000000 kB\\nMemFree: 9000 kB\\nMemAvailable: 20000 kB\\n"
BACK = "MemTotal: 1000000 kB\\nMemFree: 300000 kB\\nMemAvailable: 600000 kB\\n"
EATS = """
if [ -e /run/test/{name} ]; then size={later}; printf '{after}' >/run/test/meminfo
else size=280M; touch /run/test/{name}; printf '{before}' >/run/test/meminfo; fi
{{ head -c $size /dev/zero; {then}; }} | tail >/dev/null
"""


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
        return {"system_units": self.real.get("system_units", self.box)}


def furnish(machine: Machine) -> None:
    """Opted in, and out of memory."""
    machine.as_root("mkdir", "-p", "/run/test", "/etc/byteport")
    (machine.root / "etc/byteport/host.yaml").write_text("byteport.io/auto-remediate: memory\n")
    machine.as_root("sh", "-c", f"printf '{GONE}' >/run/test/meminfo")
    machine.as_root("mount", "--bind", "/run/test/meminfo", "/proc/meminfo")


def ports(hosts: Hosts) -> dict[str, Any]:
    return {
        "memory": Older(hosts), "system_units": SystemUnitsOf(hosts), "inventories": InventoryFiles(hosts, {HOST: "web"}),
        "releases": HostReleases(hosts),
    }  # fmt: skip


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
