"""A host that behaves: its memory, its services, and what its people allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from byteport.errors import Permanent
from byteport.model.facts.hosts import HostInventory
from byteport.model.facts.memory import (
    GIB,
    MIB,
    Audit,
    Consumer,
    Group,
    Groups,
    Held,
    KernelLines,
    Meminfo,
    Stall,
    TopMemory,
)
from byteport.model.facts.runtimes import HeapInfo, RuntimeHints
from byteport.model.facts.services import Release
from byteport.model.facts.system_units import LabelledUnits, SystemUnit
from byteport.runbooks.linux.host_evidence import KEY


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
    hints: dict[str, RuntimeHints] = field(default_factory=dict)
    heaps: dict[str, HeapInfo] = field(default_factory=dict)
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

    def runtime(self, _host: str, name: str, _folder: str) -> RuntimeHints | None:
        self._answer("runtime")
        return self.hints.get(name, RuntimeHints(kind="other", pid=10)) if name in self.services else None

    def heap(self, _host: str, name: str) -> HeapInfo | None:
        self._answer("heap")
        return self.heaps.get(name)

    def kernel(self, _host: str) -> KernelLines:
        self._answer("kernel")
        return KernelLines(lines=("kernel: Out of memory: Killed process 10 (shop)",))

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
