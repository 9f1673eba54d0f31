"""A whole BytePort on real stores before a host of the test's own: CPUs that are busy, services that can be weighed and
restarted. What a real host does is in tests/real; here time passes as a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import redis

from byteport.engine.engine import Engine
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.errors import Denied, Permanent, Transient
from byteport.grammar.verdict import Claim
from byteport.model.facts.hosts import HostInventory
from byteport.model.facts.processes import CpuShare, CpuTicks, CpuUse, Pressure, ProcessUse, TopProcesses
from byteport.model.facts.system_units import LabelledUnits, SystemUnit
from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.incident import Incident, Phase
from byteport.runbooks.linux.cpu_saturation import RUNBOOK
from byteport.runbooks.linux.host_evidence import KEY
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests.ward.world import World

SLUG = RUNBOOK.name
HOST, UNIT = "web1", "report.service"
SERVICE = f"service:{UNIT}@{HOST}"
CHANNELS = ("postmark", "github_issue")


def process(unit: str, percent: float, **more: Any) -> ProcessUse:
    name = more.pop("name", unit.removesuffix(".service"))
    return ProcessUse(pid=more.pop("pid", 4242), percent=percent, name=name, command=f"/usr/bin/{name}", user="app",
                      unit=unit, **more)  # fmt: skip


@dataclass
class Host:
    """As its kernel and its service manager would answer."""

    up: float = 90_000.0
    total: int = 10_000_000
    idle: int = 5_000_000
    busy: float = 97.0
    dips: dict[int, float] = field(default_factory=dict)
    steal: float = 0.0
    processes: list[ProcessUse] = field(default_factory=lambda: [process(UNIT, 80.0), process("cron.service", 9.0)])
    units: dict[str, SystemUnit] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=lambda: {KEY: "cpu"})
    swaps: tuple[int, ...] = (0, 0, 0, 0, 0)
    when_demoted: Callable[[], None] = lambda: None
    when_restarted: Callable[[], None] = lambda: None
    after_a_look: Callable[[], None] = lambda: None
    done: list[str] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    looks: int = 0

    def __post_init__(self) -> None:
        self.put(UNIT, label="safe")

    def put(self, name: str, **more: Any) -> None:
        stands: dict[str, Any] = {
            "active": "active",
            "sub": "running",
            "invocation": "a1",
            "up_seconds": 500.0,
            "boot": "b",
        }
        self.units[name] = SystemUnit(name=name, **{**stands, **more})

    def change(self, name: str, **more: Any) -> None:
        self.units[name] = self.units[name].with_(**more)

    def calm(self) -> None:
        self.busy, self.processes = 30.0, [process(UNIT, 10.0)]

    def passes(self, seconds: float, busy: float | None = None) -> None:
        ticks = round(seconds * 200)
        self.up, self.total = self.up + seconds, self.total + ticks
        self.idle += round(ticks * (100 - (self.busy if busy is None else busy)) / 100)

    # -- looking ------------------------------------------------------------------------------------------------------

    def cpu(self, host: str, length: timedelta, every: timedelta) -> CpuUse:
        self._asked("cpu", host)
        self.looks += 1
        readings = [self._reading()]
        for n in range(round(length / every)):
            self.passes(every.total_seconds(), self.dips.get(n))
            readings.append(self._reading())
        self.after_a_look()
        return CpuUse(readings=tuple(readings), boot=1, cpus=2)

    def _reading(self) -> CpuTicks:
        return CpuTicks(
            at=round(self.up, 2), total=self.total, idle=self.idle, steal=round(self.total * self.steal / 100)
        )

    def top(self, host: str, length: timedelta) -> TopProcesses:
        self._asked("top", host)
        share = CpuShare(seconds=length.total_seconds(), busy=self.busy)
        sums: dict[str, float] = {}
        for one in self.processes:
            sums[one.unit] = sums.get(one.unit, 0.0) + one.percent
        names = {unit: tuple({one.name for one in self.processes if one.unit == unit}) for unit in sums}
        return TopProcesses(use=share, processes=tuple(self.processes[:5]), units=sums, names=names)

    def pressure(self, host: str) -> Pressure:
        self._asked("pressure", host)
        return Pressure(running=(7,) * 5, blocked=(0,) * 5, swapped_in=self.swaps, swapped_out=(0,) * 5,
                        load=(7.0, 5.0, 2.0), cpus=2)  # fmt: skip

    def inventory(self, host: str) -> HostInventory:
        self._asked("inventory", host)
        return HostInventory(annotations=self.annotations, group="web")

    def unit(self, host: str, name: str) -> SystemUnit | None:
        self._asked("unit", host)
        return self.units.get(name)

    def labelled(self, host: str) -> LabelledUnits:
        self._asked("labelled", host)
        return LabelledUnits(units=tuple(one for one in self.units.values() if one.label or one.why))

    def _asked(self, what: str, host: str) -> None:
        if host != HOST:
            raise Denied(f"{host} is none of the configuration's hosts")
        if what in self.silent:
            raise Transient(f"{host}: out of reach")

    # -- acting -------------------------------------------------------------------------------------------------------

    def restart(self, host: str, name: str, was: str, verb: str) -> None:
        self._asked("restart", host)
        if self.units[name].invocation != was:
            raise Permanent(f"{name} was started anew")
        self.done.append(f"{verb} {name}")
        self.change(name, invocation=f"{was}+", up_seconds=60.0)
        self.when_restarted()

    def set_cpu_weight(self, host: str, name: str, was: int | None, to: int | None) -> None:
        self._asked("weight", host)
        if self.units[name].cpu_weight not in (was, to):
            raise Permanent(f"CPUWeight of {name} is somebody's")
        self.done.append(f"weight {name} {to}")
        self.change(name, cpu_weight=to)
        if to is not None:
            self.when_demoted()


@dataclass
class Rack(World):
    """`take` signals the host, `treat` moves it until it rests."""

    host: Host = field(default_factory=Host)
    policy: Policy = field(default_factory=lambda: Policy(first_day_rate=1000, channels=CHANNELS))
    name: str = HOST

    def engine(self, driver: str = "") -> Engine:
        outbox = Outbox(self.ledger, dict.fromkeys((*CHANNELS, "journal"), self.notebook))
        host = self.host
        looks: Any = SimpleNamespace(processes=host, system_units=host, inventories=host, past=self.ledger)
        acts: Any = SimpleNamespace(system_units=host)
        return Engine(
            self.ledger, self.budgets, looks, acts, Pages((RUNBOOK,)), self.policy, NoDoorbell(), outbox, driver=driver
        )

    def options(self, **more: Any) -> None:
        self.policy = replace(self.policy, options={SLUG: {**self.policy.options.get(SLUG, {}), **more}})

    def take(self, mode: Mode = Mode.LIVE, coordinates: Mapping[str, str] | None = None) -> str:
        if mode is not Mode.DRY_RUN:
            self.ledger.promote(SLUG, mode, "test", "for the test")
        target = Target(kind=TargetKind.HOST, key=self.name, coordinates=dict(coordinates or {}))
        told = Signal(name="cpu_saturation", source="test", fired_at=datetime.now(UTC), severity=Severity.WARNING,
                      target=target)  # fmt: skip
        admission = self.engine().take(told)
        assert admission is not None
        return admission.incident

    def treat(self, mode: Mode = Mode.LIVE) -> Incident:
        return self.run(self.take(mode), most=400)

    def planned(self) -> str:
        """Up to the frozen plan, nothing done yet."""
        incident = self.take()
        assert self.run(incident, until=Phase.ACT, deliver=False).plan.steps  # type: ignore[union-attr]
        return incident

    def demoted(self) -> str:
        """Up to where the service has been demoted, and use does not come down."""
        incident = self.planned()
        for _ in range(60):
            self.run(incident, most=1, deliver=False)
            if any(done.startswith("weight") for done in self.host.done):
                return incident
        raise AssertionError(f"not demoted: {self.now(incident).reason}")

    def closed(self, incident: str) -> Incident:
        self.ledger.command(incident, "close", "ada", "seen")
        return self.run(incident)

    def minutes_pass(self, minutes: float) -> None:
        """For the budgets too: what Redis forgets it is told again by the ledger, whose clock was moved."""
        travel(self.url, minutes * 60)
        self.host.passes(minutes * 60)
        with redis.Redis.from_url(self.redis_url) as server:
            server.flushall()

    def spend(self, key: str, limit: int, per: timedelta = timedelta(hours=1)) -> None:
        """As if another runbook had used that much of a shared budget."""
        claim = Claim.window(key, limit=limit, per=per, amount=limit, guard="another")
        if not self.budgets.epoch():
            with self.ledger.begin_rebuild() as (epoch, spends):
                self.budgets.rebuild(epoch, spends)
        assert self.budgets.reserve(f"another {key}", (claim,)).granted

    def refusals(self, incident: str) -> list[str]:
        return [verdict["guard"] for verdict in self.verdicts(incident)]

    def told(self, channel: str = "postmark") -> list[Any]:
        return [one.message for one in self.notebook.sent if one.message.channel == channel]
