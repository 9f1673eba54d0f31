"""A whole BytePort on real stores before a real host whose small disks are really full.

The host has an sshd of its own, and its ordinary user may run as root exactly what the page's sudoers file says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from byteport.adapters.application_metrics import NoMetrics
from byteport.adapters.host_disks import HostDisks
from byteport.adapters.host_inventory import InventoryFiles
from byteport.adapters.host_units import UserUnits
from byteport.adapters.hosts import Hosts
from byteport.engine.engine import Engine
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.errors import Permanent
from byteport.grammar.runbook import Runbook
from byteport.grammar.verdict import Claim
from byteport.model.facts.disks import Volume
from byteport.model.signal import Mode, Signal
from byteport.model.target import Target, TargetKind
from byteport.model.units import hours
from byteport.records.incident import Incident
from byteport.settings.hosts import HostSection
from byteport.shown.sudoers import sudoers
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests import machine
from tests.machine import Machine
from tests.scratch import Old, Scratch
from tests.ward.world import World

HOST = "web1"
CHANNELS = ("slack", "postmark", "github_issue")
OLD_LOG = Old("log/shop.log.1", 5, days=9, fill=b"an old line of a log\\n")
OLD_DATA = Old("tmp/left-behind.bin", 10, days=9)
YOUNG = Old("lib/shop/data.bin", 23.5)


def full(*files: Old) -> Scratch:
    """55 MB that anybody can use, of which the system has 8."""
    return Scratch("ext4", 64, files=files or (OLD_LOG, OLD_DATA, YOUNG))


@dataclass
class Cloud:
    """A disk of so many gigabytes under the mount, which grows once it is asked. `refuses`: asked for and taken, but it
    ends without effect, and says this."""

    known: Volume = field(default_factory=lambda: Volume(why="hosts.web1.cloud is not configured"))
    asked: list[int] = field(default_factory=list)
    grows: Callable[[], None] = lambda: None
    refuses: str = ""

    def volume(self, host: str, mount: str) -> Volume:
        assert (host, mount) == (HOST, "/var")
        return self.known

    def grow(self, host: str, volume: Volume, to_gigabytes: int, mark: str) -> str:
        if to_gigabytes <= self.known.gigabytes:
            raise Permanent(f"{volume.id} is not grown to {to_gigabytes} GB")
        self.asked.append(to_gigabytes)
        if self.refuses:
            return "operation-1"
        self.known = self.known.with_(gigabytes=to_gigabytes)
        self.grows()
        return ""

    def failed(self, host: str, volume: Volume, change: str) -> str:
        """What an operation that it took ended with."""
        return self.refuses if change == "operation-1" else ""


@dataclass
class Site(World):
    """`take` signals that the disk is full, `treat` moves the incident until it rests."""

    machine: Machine = field(kw_only=True)
    page: Runbook = field(kw_only=True)
    policy: Policy = field(default_factory=lambda: Policy(first_day_rate=1000, channels=CHANNELS))
    mount: str = "/var"
    cloud: Cloud = field(default_factory=Cloud)
    hosts: Hosts = field(init=False)

    def __post_init__(self) -> None:
        one = self.machine
        section = HostSection(address=one.address, user=one.user, key_file=one.key, known_hosts=one.known_hosts)
        self.hosts = Hosts({HOST: section})
        self.allow("disk")
        self.allow_as_root()

    def engine(self, driver: str = "") -> Engine:
        outbox = Outbox(self.ledger, dict.fromkeys((*CHANNELS, "journal"), self.notebook))
        disks, units = HostDisks(self.hosts), UserUnits(self.hosts)
        looks: Any = SimpleNamespace(
            disks=disks,
            units=units,
            inventories=InventoryFiles(self.hosts),
            metrics=NoMetrics(),
            volumes=self.cloud,
        )
        acts: Any = SimpleNamespace(cleaning=disks, units=units, volumes=self.cloud)
        return Engine(
            self.ledger, self.budgets, looks, acts, Pages((self.page,)), self.policy, NoDoorbell(), outbox,
            driver=driver,
        )  # fmt: skip

    def allow(self, *words: str) -> None:
        """As the host's people do it."""
        folder = self.machine.root / "etc/byteport"
        folder.mkdir(exist_ok=True)
        (folder / "host.yaml").write_text(f"byteport.io/auto-remediate: {','.join(words)}\n")

    def allow_as_root(self) -> None:
        """Exactly what `permissions --format sudoers` writes, and nothing more."""
        told = self.policy.options.get(self.page.name, {})
        options = {option.name: told.get(option.name, option.default) for option in self.page.options}
        assert self.page.as_root is not None
        self.machine.install_sudoers(sudoers(self.page.name, self.machine.user, self.page.as_root(options, ())))

    def options(self, **more: Any) -> None:
        """The configuration, and the sudoers file that goes with it."""
        known = self.policy.options.get(self.page.name, {})
        self.policy = replace(self.policy, options={self.page.name: {**known, **more}})
        self.allow_as_root()

    @property
    def target(self) -> Target:
        coordinates = {"host": HOST, "mount": self.mount, "group": "default"}
        return Target(
            kind=TargetKind.HOST, key=f"{HOST}:{self.mount}", within=(f"host:{HOST}",), coordinates=coordinates
        )

    def take(self, mode: Mode = Mode.LIVE) -> str:
        if mode is not Mode.DRY_RUN:
            self.ledger.promote(self.page.name, mode, "test", "for the test")
        signal = Signal(name=self.page.signals[0].name, source="test", fired_at=datetime.now(UTC), target=self.target)
        admission = self.engine().take(signal)
        assert admission is not None
        return admission.incident

    def treat(self, mode: Mode = Mode.LIVE) -> Incident:
        return self.run(self.take(mode), most=600)

    def spend(self, key: str, limit: int = 1) -> None:
        """As if it had been done a moment ago."""
        claim = Claim.window(key, limit=limit, per=hours(24), amount=limit, guard="another")
        if not self.budgets.epoch():
            with self.ledger.begin_rebuild() as (epoch, spends):
                self.budgets.rebuild(epoch, spends)
        assert self.budgets.reserve(f"another {key}", (claim,)).granted

    def let_pass(self, seconds: float) -> None:
        travel(self.url, seconds)

    def there(self, *paths: str) -> list[bool]:
        return [(self.machine.root / path.lstrip("/")).exists() for path in paths]

    def used(self) -> int:
        """Percent, as df has it."""
        told = self.machine.as_root("df", "--output=pcent", self.mount)
        return int(told.split()[-1].rstrip("%"))

    def steps(self, incident: Incident) -> list[tuple[str, str]]:
        """The moves that were begun, and how each ended."""
        found = self.ledger.intents_of(incident.id)
        return [(one.move, one.outcome.outcome if one.outcome else "open") for one in found]

    def story(self, incident: Incident) -> str:
        """What came of it, for whoever reads a test that failed."""
        how = f"{incident.phase}, {incident.ending or 'no ending'}: {incident.reason}; due in {self.wait_of(incident.id):.1f} s"
        journal = [f"  {event.kind}: {event.text}" for event in self.ledger.events(incident.id)]
        return "\n".join([how, f"steps: {self.steps(incident)}", f"used: {self.used()} %", *journal])

    def refusals(self, incident: Incident) -> list[str]:
        return [verdict["guard"] for verdict in self.verdicts(incident.id)]


@contextmanager
def site(
    page: Runbook, ledger: Any, budgets: Any, url: str, redis_url: str, scratch: dict[str, Scratch] | None = None,
    mount: str = "/var", keeps_journal: bool = False,
) -> Iterator[Site]:  # fmt: skip
    """Its journal takes none of the small disk, unless it is that which is looked at."""
    with machine.running(scratch or {"/var": full()}, keeps_journal=keeps_journal) as one:
        made = Site(ledger, budgets, None, url, redis_url, pages=(page,), machine=one, page=page, mount=mount)  # type: ignore[arg-type]
        yield made
        made.hosts.close()


__all__: Sequence[str] = ("OLD_DATA", "OLD_LOG", "YOUNG", "Old", "Scratch", "Site", "full", "site")
