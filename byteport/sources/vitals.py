"""Hosts, looked at over SSH: CPU, memory, disk, inodes, and kills by the kernel for want of memory.

The alerts have the names that node_exporter's usual rules give them, so that one route serves both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import AwareDatetime, Field

from byteport.model.alert import Alert
from byteport.model.base import Value
from byteport.model.facts.hosts import Vitals
from byteport.model.signal import Severity
from byteport.sources.conditions import Seen, bounded, compared, telling
from byteport.sources.incoming import Heard, id_of, labels
from byteport.sources.parts import each
from byteport.sources.polling import Looked, recalled

SOURCE = "vitals"
AT_ONCE = 16
STALE_LOOKS = 3  # a share of CPU over more than so many periods says nothing of now


class LookingAtHosts(Protocol):
    """Raises Transient, Denied or Permanent."""

    def vitals(self, host: str) -> Vitals: ...


@dataclass(frozen=True)
class VitalRules:
    """Shares (0..1) from which it is told, and the seconds that it must last."""

    cpu: float = 0.90
    cpu_seconds: float = 300.0
    memory: float = 0.90
    memory_seconds: float = 120.0
    disk: float = 0.85
    inodes: float = 0.85


class Ticks(Value):
    """What of a look the next one is held against."""

    busy: int
    total: int
    boot: int
    oom_kills: int | None = None
    at: AwareDatetime


class Memory(Value):
    """By host. Who was `silent` at the last look is asked last."""

    ticks: dict[str, Ticks] = Field(default_factory=dict)
    seen: dict[str, dict[str, Seen]] = Field(default_factory=dict)
    silent: tuple[str, ...] = ()


@dataclass(frozen=True)
class VitalsPoller:
    """Every host at most once a period; one that hangs costs none of the others its turn."""

    looking: LookingAtHosts
    hosts: Sequence[str]
    rules: VitalRules
    period: timedelta
    timeout: timedelta
    name: str = "vitals"

    def look(self, now: datetime, memory: Mapping[str, Any]) -> Looked:
        """Raises what the first host raised where none has answered."""
        last = recalled(Memory, memory)
        asked = each(sorted(self.hosts, key=lambda host: host in last.silent), self.looking.vitals, most=AT_ONCE)
        ticks = {host: last.ticks[host] for host in self.hosts if host in last.ticks}
        known = {host: last.seen[host] for host in self.hosts if host in last.seen}
        told: list[Heard] = []
        for host, seen in asked.answers:
            known[host], heard = self._heard(host, seen, ticks.get(host), known.get(host, {}), now)
            ticks[host] = Ticks(busy=seen.busy, total=seen.total, boot=seen.boot, oom_kills=seen.oom_kills, at=now)
            told += heard
        after = Memory(ticks=ticks, seen=bounded(known), silent=tuple(host for host, _ in asked.silent))
        return Looked([*told, *asked.told()], after.model_dump(mode="json"))

    def _heard(
        self, host: str, seen: Vitals, before: Ticks | None, last: Mapping[str, Seen], now: datetime
    ) -> tuple[dict[str, Seen], list[Heard]]:
        if before is not None and (before.boot != seen.boot or now - before.at > STALE_LOOKS * self.period):
            before = None
        firing = {alert.condition: alert for alert in conditions_of(host, seen, before, self.rules, now)}
        waits = {f"{SOURCE}/{host}/cpu": self.rules.cpu_seconds, f"{SOURCE}/{host}/memory": self.rules.memory_seconds}
        gap = STALE_LOOKS * self.period
        known = {name: one for name, one in last.items() if not one.is_stale(now, gap)}
        well = {name for name in known if _was_read(name.removeprefix(f"{SOURCE}/{host}/"), seen, before)}
        after, told = compared(known, firing, waits, now, well)
        return after, [*told, *_kills(host, seen, before, now)]


def _was_read(what: str, seen: Vitals, before: Ticks | None) -> bool:
    """Whether this look could tell of it; what it could not tell of has not ended."""
    if what == "cpu":
        return before is not None
    return what == "memory" or "file systems" not in seen.unread


def conditions_of(host: str, seen: Vitals, before: Ticks | None, rules: VitalRules, now: datetime) -> Iterator[Alert]:
    """What is over its limit now. CPU needs an earlier look. Pure."""
    if before is not None and seen.total > before.total:
        share = (seen.busy - before.busy) / (seen.total - before.total)
        if share >= rules.cpu:
            yield _alert("HostHighCpuLoad", host, "cpu", share, f"{share:.0%} of its CPUs are busy", now)
    used = 1 - seen.memory_available / seen.memory_total
    if used >= rules.memory:
        yield _alert("HostOutOfMemory", host, "memory", used, f"{used:.0%} of its memory cannot be had", now)
    for one in seen.mounts:
        place = {"mountpoint": one.mount, "device": one.device}
        for name, share, most, what in (
            ("HostOutOfDiskSpace", one.bytes_fraction, rules.disk, "of its bytes"),
            ("HostOutOfInodes", one.inodes_fraction, rules.inodes, "of its inodes"),
        ):
            if share >= most:
                words = f"{one.mount}: {share:.0%} {what} are used"
                yield _alert(name, host, f"{name}:{one.mount}", share, words, now, **place)


def _kills(host: str, seen: Vitals, before: Ticks | None, now: datetime) -> Iterator[Alert]:
    """An event, and no condition: told once, and never ended."""
    if before is None or seen.oom_kills is None or before.oom_kills is None or seen.oom_kills <= before.oom_kills:
        return
    killed = seen.oom_kills - before.oom_kills
    words = f"its kernel killed {killed} {'process' if killed == 1 else 'processes'} for want of memory"
    alert = _alert("HostOomKillDetected", host, "oom_kill", float(killed), words, now)
    yield alert.with_(event_id=id_of(SOURCE, host, seen.boot, seen.oom_kills))


def _alert(name: str, host: str, what: str, value: float, words: str, now: datetime, **place: str) -> Alert:
    condition = f"{SOURCE}/{host}/{what}"
    return Alert(
        source=SOURCE, name=name, fired_at=now, severity=Severity.CRITICAL if value >= 0.95 else Severity.HIGH,
        summary=f"{host}: {words}", value=round(value, 4), condition=condition, event_id=telling(condition, now),
        labels=labels(instance=host, host=host, **place),
    )  # fmt: skip
