"""A host's memory, in one round trip a question: what can be had, who holds it, what its control groups may hold.

Control groups are read by the names of whichever version a host has, resolved from /proc/PID/cgroup: a v2 host's root
group has no memory.current, and v1 calls it memory.usage_in_bytes. "max", or a number that no machine has, is no limit.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from byteport.adapters.host_memory_scripts import AUDIT, GROUP, GROUPS, KERNEL, MEMINFO, PROCESSES, STALL
from byteport.adapters.transport import ByName, Completed
from byteport.errors import Permanent, Transient
from byteport.model.facts.memory import (
    Audit,
    Consumer,
    Group,
    Groups,
    Held,
    KernelLines,
    Meminfo,
    Process,
    Stall,
    TopMemory,
)
from byteport.model.facts.processes import lines_in, unit_of
from byteport.redaction import redact_text

MOST = 60
NO_SUCH, NOT_ACCOUNTED = 3, 4
NO_LIMIT = 1 << 60
NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,200}")
KIB = 1024


@dataclass(frozen=True)
class HostMemory:
    """Over whichever transport a host has. All raise Transient, Denied or Permanent."""

    hosts: ByName
    patience: timedelta = timedelta(seconds=8)

    def meminfo(self, host: str) -> Meminfo:
        return meminfo(self._told(host, MEMINFO).stdout, host)

    def stall(self, host: str) -> Stall | None:
        return stall(self._told(host, STALL).stdout)

    def top(self, host: str) -> TopMemory:
        return top(self._told(host, PROCESSES), host)

    def groups(self, host: str) -> Groups:
        return groups(self._told(host, GROUPS).stdout)

    def group(self, host: str, name: str) -> Group | None:
        if not NAME.fullmatch(name) or name in (".", ".."):
            raise Permanent(f"{name!r} is no name of a service or a control group")
        words = (name, name.replace(".", "[.]"), lines_in(name))
        told = self._told(host, GROUP, *words, may_be=(NO_SUCH, NOT_ACCOUNTED))
        return None if told.status in (NO_SUCH, NOT_ACCOUNTED) else group(told.stdout, host)

    def audit(self, host: str, most: int = 3) -> Audit:
        told = self._told(host, AUDIT)
        held, _, processes = told.stdout.partition("=== processes\n")
        return audit(top(replace(told, stdout=processes), host, most=10_000), held, most)

    def kernel(self, host: str) -> KernelLines:
        told = self._told(host, KERNEL, may_be=(NO_SUCH,))
        if told.status == NO_SUCH:
            return KernelLines(why="the kernel's lines cannot be read by this user")
        return KernelLines(lines=tuple(redact_text(line)[:300] for line in told.stdout.splitlines()))

    def _told(self, host: str, script: str, *words: str, may_be: Sequence[int] = ()) -> Completed:
        told = self.hosts.get(host).run(("sh", "-c", script, "sh", *words), within=self.patience)
        if told.status not in (0, *may_be):
            said = redact_text(" ".join(told.stderr.split()))[:200]
            raise Transient(f"{host}: it did not tell of its memory (exit status {told.status}: {said})")
        return told


def meminfo(text: str, host: str = "") -> Meminfo:
    """Pure. Raises Transient where the host did not tell: no answer is no health."""
    sizes = {name.rstrip(":"): int(value) for name, value in _pairs(text.splitlines())}
    if not sizes.get("MemTotal"):
        raise Transient(f"{host}: it did not tell of its memory")
    kib = defaultdict(int, {name: value * KIB for name, value in sizes.items()})
    estimate = kib["MemFree"] + kib["Buffers"] + kib["Cached"]  # as kernels before 3.14 would have it
    return Meminfo(
        total=kib["MemTotal"], available=kib.get("MemAvailable", estimate),
        free=kib["MemFree"], cached=kib["Cached"] + kib["Buffers"], swap_total=kib["SwapTotal"],
        swap_free=kib["SwapFree"], oom_kills=sizes.get("oom_kill"), major_faults=sizes.get("pgmajfault"),
    )  # fmt: skip


def stall(text: str) -> Stall | None:
    """Pure. None for a kernel that does not count it (before 4.20, or switched off)."""
    told = {
        line.split()[0]: dict(part.split("=", 1) for part in line.split()[1:] if "=" in part)
        for line in text.splitlines()
        if line.strip()
    }
    some, full = told.get("some"), told.get("full", {})
    if some is None or "avg60" not in some:
        return None
    return Stall(
        some_avg10=float(some["avg10"]), some_avg60=float(some["avg60"]), full_avg60=float(full.get("avg60", 0))
    )


def top(told: Completed, host: str = "", most: int = MOST) -> TopMemory:
    """Pure. Of more than fits, the smallest processes are missing."""
    lines = told.stdout.splitlines()[: -1 if told.truncated else None]
    try:
        uptime, hertz = float(lines[0]), int(lines[1])
        seen = [_process(line, uptime, hertz) for line in lines[2:] if line.startswith("p ")]
    except (IndexError, ValueError):
        seen = []
    if not seen:
        raise Transient(f"{host}: it did not tell of its processes")
    owned: defaultdict[str, list[Process]] = defaultdict(list)
    for one in seen:
        owned[one.unit or f"{one.group} {one.name}"].append(one)
    consumers = sorted(map(_consumer, owned.values()), key=lambda one: one.rss, reverse=True)
    return TopMemory(consumers=tuple(consumers[:most]), processes=tuple(seen[:most]))


def _process(line: str, uptime: float, hertz: int) -> Process:
    _, rss, shared, swap, pid, parent, user, threads, faults, began, own, name = [*line.split(" ", 11), ""][:12]
    return Process(
        pid=int(pid), parent=int(parent), name=redact_text(name)[:64], user=int(user), rss=int(rss) * KIB,
        shared=int(shared) * KIB, swap=int(swap) * KIB, threads=int(threads), major_faults=int(faults),
        age=round(max(0.0, uptime - int(began) / hertz), 1), group=own, unit=unit_of(own),
    )  # fmt: skip


def _consumer(processes: Sequence[Process]) -> Consumer:
    largest = max(processes, key=lambda one: one.rss)
    return Consumer(
        unit=largest.unit, group=largest.group, rss=sum(max(0, one.rss - one.shared) for one in processes),
        swap=sum(one.swap for one in processes), processes=len(processes), pid=largest.pid, name=largest.name,
        age=max(one.age for one in processes),
    )  # fmt: skip


def group(text: str, host: str = "") -> Group:
    """Pure. Raises Transient where a file of it could not be read."""
    lines = [line.partition(" ")[::2] for line in text.splitlines()]
    told = dict(lines)
    stat = {name: int(n) for name, n in _pairs(value for kind, value in lines if kind == "stat")}
    events = {name: int(n) for name, n in _pairs(value for kind, value in lines if kind == "events")}
    if not told.get("current", "").isdigit():
        raise Transient(f"{host}: {told.get('path', 'the control group')} could not be read")
    limits = [limit for kind, value in lines if kind == "limit" and (limit := _limit(value)) is not None]
    return _group(told["path"], told["version"], int(told["current"]), stat, events, limits, told.get("pids", ""))


def _group(
    path: str, version: str, current: int, stat: Mapping[str, int], events: Mapping[str, int],
    limits: Sequence[int], pids: str = "",
) -> Group:  # fmt: skip
    inactive = stat.get("total_inactive_file", stat.get("inactive_file", 0))
    return Group(
        path=path, version=int(version), current=current, limit=min(limits, default=None),
        working_set=max(0, current - inactive), anon=stat.get("total_rss", stat.get("anon", 0)),
        oom_kills=events.get("oom_kill"), pids=tuple(int(pid) for pid in pids.split() if pid.isdigit()),
    )  # fmt: skip


def groups(text: str) -> Groups:
    """Pure. Each line: /sys/fs/cgroup…/NAME.service/memory.FILE:text."""
    parts: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in text.splitlines():
        path, _, value = line.partition(":")
        folder, _, file = path.rpartition("/")
        parts[folder].append((file, value))
    found = {folder.rsplit("/", 1)[-1]: one for folder, told in parts.items() if (one := _of_files(folder, told))}
    return Groups(groups=found, why="" if found else "its services have no memory accounting that can be read")


def _of_files(folder: str, told: Sequence[tuple[str, str]]) -> Group | None:
    current = next((v for f, v in told if f in ("memory.current", "memory.usage_in_bytes") and v.isdigit()), None)
    if current is None:
        return None
    stat = {name: int(n) for name, n in _pairs(v for f, v in told if f == "memory.stat")}
    events = {name: int(n) for name, n in _pairs(v for f, v in told if f in ("memory.events", "memory.oom_control"))}
    limits = [n for f, v in told if f in ("memory.max", "memory.limit_in_bytes") and (n := _limit(v)) is not None]
    version = "2" if any(f == "memory.current" for f, _ in told) else "1"
    return _group(folder.removeprefix("/sys/fs/cgroup"), version, int(current), stat, events, limits)


def audit(seen: TopMemory, text: str, most: int = 3) -> Audit:
    """Pure. Of the largest services: each process with what it has open, where that could be seen."""
    lines = [line.split() for line in text.splitlines() if line]
    counts: dict[int, tuple[int | None, int | None]] = {}
    for cells in lines:
        if len(cells) == 3 and cells[0].isdigit():
            counts.setdefault(int(cells[0]), (_count(cells[1]), _count(cells[2])))
    units = [one.unit for one in seen.consumers if one.unit][:most]
    trees = {unit: tuple(_held(one, counts) for one in seen.processes if one.unit == unit)[:100] for unit in units}
    unseen = [one for tree in trees.values() for one in tree if one.files is None or one.sockets is None]
    in_use = next((cells[1] for cells in lines if cells[0] == "in_use" and len(cells) > 1), "")
    lacks = ("open files and sockets of other users' processes: they need root, or find by sudo",) if unseen else ()
    return Audit(units=trees, sockets_in_use=_count(in_use), lacks=lacks)


def _held(one: Process, counts: Mapping[int, tuple[int | None, int | None]]) -> Held:
    files, sockets = counts.get(one.pid, (None, None))
    return Held(pid=one.pid, parent=one.parent, name=one.name, rss=one.rss, files=files, sockets=sockets)


def _limit(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdigit() and int(text) < NO_LIMIT else None


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        cells = line.split()
        if len(cells) >= 2 and cells[1].isdigit():
            yield cells[0], cells[1]
