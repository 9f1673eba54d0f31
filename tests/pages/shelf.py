"""A whole BytePort on real stores before a host that behaves: its memory, its services, and what its people allow.

What it held an hour ago is remembered by the ledger, as the poller would have written it down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import redis

from byteport.adapters.memory_history import MemoryOf
from byteport.engine.engine import Engine
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.errors import Permanent, Transient
from byteport.grammar.runbook import Runbook
from byteport.grammar.verdict import Claim
from byteport.model.facts.hosts import HostInventory
from byteport.model.facts.memory import GIB, MIB, Audit, Consumer, Group, Groups, Held, Meminfo, Stall, TopMemory
from byteport.model.facts.services import Release
from byteport.model.facts.system_units import LabelledUnits, SystemUnit
from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.incident import Incident
from byteport.runbooks.linux.host_evidence import KEY
from byteport.runbooks.linux.memory_pressure import RUNBOOK
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests.ward.world import World

HOST, SHOP, MAIL = "web1", "shop.service", "mail.service"
CHANNELS = ("slack", "postmark", "github_issue", "pagerduty")


@dataclass
class Service:
    """One of the host's services. `starts_with` is what it holds after a restart."""

    name: str
    rss: int
    label: str = "safe"
    age: float = 7200.0
    starts_with: int = 100 * MIB
    comes_up: bool = True
    restarts: int = 0
    active: str = "active"
    lives: int = 1
    command: str = "shop"


@dataclass
class Box:
    """A host with 8 GiB. `others` is used beside its services; the rest can be had, `cache` of it is page cache. `stray`
    is what somebody's shell holds, which is no service."""

    services: dict[str, Service] = field(default_factory=dict)
    others: int = 5 * GIB
    total: int = 8 * GIB
    stray: int = 150 * MIB
    cache: int = 256 * MIB
    psi: Stall | None = field(default_factory=lambda: Stall(some_avg10=30, some_avg60=25))
    allows: str = "memory"
    released: float | None = 90_000.0
    asked: list[tuple[str, str]] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)
    limits: dict[str, int | None] = field(default_factory=dict)
    oom_kills: dict[str, int] = field(default_factory=dict)
    on_restart: Callable[[Service], None] = lambda _service: None

    def put(self, name: str, rss: int, **more: Any) -> Service:
        self.services[name] = Service(name, rss, **more)
        return self.services[name]

    @property
    def available(self) -> int:
        return max(0, self.total - self.others - sum(one.rss for one in self.services.values()))

    def _answer(self, what: str) -> None:
        if (problem := self.broken.get(what)) is not None:
            raise problem

    # ── its memory ──

    def meminfo(self, _host: str) -> Meminfo:
        self._answer("meminfo")
        free = max(0, self.available - self.cache)
        return Meminfo(total=self.total, available=self.available, free=free, cached=self.cache, major_faults=12)

    def stall(self, _host: str) -> Stall | None:
        self._answer("stall")
        return self.psi

    def top(self, _host: str) -> TopMemory:
        self._answer("top")
        found = [
            Consumer(
                unit=one.name, group=f"/system.slice/{one.name}", rss=one.rss, pid=10 + n, name="shop", age=one.age
            )
            for n, one in enumerate(self.services.values())
        ]
        others = Consumer(group="/user.slice", rss=self.stray, pid=5, name="bash", age=90_000)
        return TopMemory(consumers=tuple(sorted([*found, others], key=lambda one: one.rss, reverse=True)))

    def groups(self, host: str) -> Groups:
        self._answer("groups")
        return Groups(groups={name: one for name in self.services if (one := self.group(host, name)) is not None})

    def group(self, _host: str, name: str) -> Group | None:
        self._answer("group")
        one = self.services.get(name)
        if one is None or one.active != "active":
            return None
        return Group(
            path=f"/system.slice/{name}", version=2, current=one.rss, working_set=one.rss, anon=one.rss,
            limit=self.limits.get(name), oom_kills=self.oom_kills.get(name, 0), pids=(10,),
        )  # fmt: skip

    def audit(self, _host: str) -> Audit:
        self._answer("audit")
        held = {
            name: (Held(pid=10, parent=1, name="shop", rss=one.rss, files=40, sockets=7),)
            for name, one in self.services.items()
        }
        return Audit(units=held, sockets_in_use=12)

    # ── its service manager ──

    def newest(self, _host: str, unit: str) -> Release:
        self._answer("newest")
        return Release(what=f"/usr/bin/{unit}", age=self.released)

    def unit(self, _host: str, name: str) -> SystemUnit | None:
        self._answer("unit")
        one = self.services.get(name)
        if one is None:
            return None
        return SystemUnit(
            name=name, active=one.active, sub="running" if one.active == "active" else one.active,
            invocation=f"{name}-{one.lives}", restarts=one.restarts, up_seconds=one.age, label=one.label,
            command=one.command,
        )  # fmt: skip

    def labelled(self, host: str) -> LabelledUnits:
        self._answer("labelled")
        found = [unit for name in self.services if (unit := self.unit(host, name)) and unit.label]
        return LabelledUnits(units=tuple(found))

    def restart(self, host: str, name: str, was: str, verb: str) -> None:
        self._answer("restart")
        one = self.services[name]
        if f"{name}-{one.lives}" != was:
            raise Permanent(f"{name} was started anew by somebody meanwhile")
        self.asked.append((verb, name))
        one.lives += 1
        one.rss, one.age = one.starts_with, 30.0
        one.active = "active" if one.comes_up else "failed"
        self.on_restart(one)

    # ── its people ──

    def inventory(self, _host: str) -> HostInventory:
        self._answer("inventory")
        return HostInventory(annotations={KEY: self.allows} if self.allows else {}, group="web")


@dataclass
class Shelf(World):
    """`take` signals the host, `treat` moves it until it rests."""

    box: Box = field(default_factory=Box)
    policy: Policy = field(default_factory=lambda: Policy(first_day_rate=1000, channels=CHANNELS))
    pages: Sequence[Runbook] = (RUNBOOK,)
    slug: str = RUNBOOK.name

    def engine(self, driver: str = "") -> Engine:
        outbox = Outbox(self.ledger, dict.fromkeys((*CHANNELS, "journal"), self.notebook))
        box = self.box
        ours: dict[str, Any] = dict.fromkeys(("memory", "system_units", "inventories", "releases"), box)
        ours |= {"memory_history": MemoryOf(self.ledger), "past": self.ledger}
        looks: Any = SimpleNamespace(**{**ours, **self.more_looks()})
        acts: Any = SimpleNamespace(**{"system_units": box, **self.more_acts()})
        return Engine(
            self.ledger, self.budgets, looks, acts, Pages(tuple(self.pages)), self.policy, NoDoorbell(), outbox,
            driver=driver,
        )  # fmt: skip

    def more_looks(self) -> dict[str, Any]:
        return {}

    def more_acts(self) -> dict[str, Any]:
        return {}

    def options(self, **more: Any) -> None:
        self.policy = replace(self.policy, options={self.slug: {**self.policy.options.get(self.slug, {}), **more}})

    def remembers(self, minutes: float = 60, host: str = HOST, **held: int) -> None:
        """What was held so long ago, in MiB, by service; the host's services have lived on since."""
        self.ledger.remember_memory(host, {f"{name}.service": size * MIB for name, size in held.items()})
        travel(self.url, minutes * 60)

    def leaks(self, now: int = 2400, before: int = 500) -> Service:
        """The shop grows, everything else stays as it was, and memory runs out: all but some percent is used."""
        shop = self.box.put(SHOP, now * MIB)
        self.box.put(MAIL, 300 * MIB, label="")
        self.ledger.remember_memory(
            HOST, {SHOP: before * MIB, MAIL: 290 * MIB, "/user.slice bash": 150 * MIB},
        )  # fmt: skip
        travel(self.url, 3600)
        return shop

    def signal_of(self, **more: Any) -> Signal:
        told = {
            "name": "memory_pressure",
            "severity": Severity.CRITICAL,
            "target": Target(kind=TargetKind.HOST, key=HOST),
        }
        return Signal(source="test", fired_at=datetime.now(UTC), **{**told, **more})

    def take(self, mode: Mode = Mode.LIVE, **more: Any) -> str:
        if mode is not Mode.DRY_RUN:
            self.ledger.promote(self.slug, mode, "test", "for the test")
        admission = self.engine().take(self.signal_of(**more))
        assert admission is not None
        return admission.incident

    def treat(self, mode: Mode = Mode.LIVE, **more: Any) -> Incident:
        return self.run(self.take(mode, **more), most=400)

    def minutes_pass(self, minutes: float) -> None:
        travel(self.url, minutes * 60)

    def budgets_forget(self) -> None:
        """Redis is told again by the ledger, whose clock was moved."""
        with redis.Redis.from_url(self.redis_url) as server:
            server.flushall()

    def spend(self, key: str, amount: int, per: timedelta = timedelta(hours=1)) -> None:
        """As if another runbook had used that much of a shared budget."""
        claim = Claim.window(key, limit=amount, per=per, amount=amount, guard="another")
        if not self.budgets.epoch():
            with self.ledger.begin_rebuild() as (epoch, spends):
                self.budgets.rebuild(epoch, spends)
        assert self.budgets.reserve(f"another {key}", (claim,)).granted

    def refusals(self, incident: Incident) -> list[str]:
        return [verdict["guard"] for verdict in self.verdicts(incident.id)]

    def heard(self, incident: Incident, guard: str) -> list[str]:
        """What that guard said, allowed or not, in the journal."""
        told = [v for event in self.ledger.events(incident.id) for v in event.data.get("verdicts", ())]
        return [verdict["reason"] for verdict in told if verdict["guard"] == guard]


UNREACHABLE = Transient("web1: out of reach")
