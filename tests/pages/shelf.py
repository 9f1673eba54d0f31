"""A whole BytePort on real stores before a host that behaves: its memory, its services, and what its people allow.

What it held an hour ago is remembered by the ledger, as the poller would have written it down.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from byteport.errors import Transient
from byteport.grammar.runbook import Runbook
from byteport.grammar.verdict import Claim
from byteport.model.facts.memory import (
    MIB,
)
from byteport.model.facts.prometheus import Run
from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.incident import Incident
from byteport.runbooks.linux.memory_pressure import RUNBOOK
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests.pages.application import ServiceManager
from tests.pages.box import Box, Service
from tests.ward.world import World

HOST, SHOP, MAIL = "web1", "shop.service", "mail.service"
CHANNELS = ("slack", "postmark", "github_issue", "pagerduty")


@dataclass
class Ranges:
    """A Prometheus that knows one rate."""

    points: tuple[tuple[datetime, float], ...] = ()

    def query_range(self, _expression: str, _since: datetime, _until: datetime, _step: timedelta) -> list[Run]:
        return [Run(labels={}, points=self.points)]


@dataclass
class Shelf(World):
    """`take` signals the host, `treat` moves it until it rests."""

    box: Box = field(default_factory=Box)
    policy: Policy = field(default_factory=lambda: Policy(first_day_rate=1000, channels=CHANNELS))
    pages: Sequence[Runbook] = (RUNBOOK,)
    slug: str = RUNBOOK.name
    manager: ServiceManager = field(default_factory=lambda: ServiceManager(host=HOST, within=60))
    prometheus: Ranges = field(default_factory=Ranges)

    def engine(self, driver: str = "") -> Engine:
        outbox = Outbox(self.ledger, dict.fromkeys((*CHANNELS, "journal"), self.notebook))
        box = self.box
        ours: dict[str, Any] = dict.fromkeys(("memory", "system_units", "inventories", "releases", "runtimes"), box)
        ours |= {"memory_history": MemoryOf(self.ledger, self.prometheus), "units": self.manager, "past": self.ledger}
        looks: Any = SimpleNamespace(**{**ours, **self.more_looks()})
        acts: Any = SimpleNamespace(**{"system_units": box, "units": self.manager, **self.more_acts()})
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
