"""What a host tells of its CPUs and of who uses them."""

from __future__ import annotations

import re
from itertools import pairwise

from pydantic import Field

from byteport.model.base import Value

SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\:-]*\.service")


class CpuTicks(Value):
    """All CPUs' ticks since the boot, at `at` seconds after it. `idle` and `iowait` are not busy; `steal` is what the
    hypervisor gave to others, and is."""

    at: float
    total: int
    idle: int
    iowait: int = 0
    steal: int = 0

    def since(self, earlier: CpuTicks) -> CpuShare:
        """What was used from `earlier` to now. A counter that runs backwards, as iowait's may, counts as standing."""
        whole = max(1, self.total - earlier.total)
        idle, iowait, steal = (
            max(0, getattr(self, name) - getattr(earlier, name)) * 100 / whole for name in ("idle", "iowait", "steal")
        )
        return CpuShare(
            seconds=round(self.at - earlier.at, 2), busy=round(max(0.0, 100 - idle - iowait), 1),
            iowait=round(iowait, 1), steal=round(steal, 1),
        )  # fmt: skip


class CpuShare(Value):
    """Percent of all CPUs together. `busy` is 100 - idle - iowait, and holds `steal`."""

    seconds: float
    busy: float
    iowait: float = 0.0
    steal: float = 0.0


class CpuUse(Value):
    """Readings of /proc/stat some seconds apart, of one boot."""

    readings: tuple[CpuTicks, ...]
    boot: int = 0
    cpus: int = 1

    @property
    def samples(self) -> tuple[CpuShare, ...]:
        return tuple(later.since(earlier) for earlier, later in pairwise(self.readings))

    @property
    def whole(self) -> CpuShare:
        """From the first reading to the last."""
        return self.readings[-1].since(self.readings[0])

    def stays_above(self, percent: float) -> bool:
        """In every sample, of which there is at least one."""
        return bool(self.samples) and all(sample.busy > percent for sample in self.samples)


class ProcessUse(Value):
    """A process and its share of all CPUs together over the window. `command` is the program it was started as,
    without its arguments; `name` what it calls itself. Neither can be trusted. `unit` is the system service that it
    belongs to, `pod` whether a pod; empty and false: neither."""

    pid: int
    percent: float
    name: str
    command: str = ""
    user: str = ""
    unit: str = ""
    pod: bool = False
    cgroup: str = ""

    @property
    def owner(self) -> str:
        """Whose it is, in a word."""
        return self.unit or ("a pod" if self.pod else self.cgroup or "nobody known")


class TopProcesses(Value):
    """Who used the CPUs over a window: the heaviest first, and the share of each system service in all of them, many
    small processes of one counted together. `names` are what a service's processes are called."""

    use: CpuShare
    processes: tuple[ProcessUse, ...] = ()
    units: dict[str, float] = Field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def of(self, unit: str) -> float:
        """The unit's share of all CPUs, in percent."""
        return self.units.get(unit, 0.0)


class Pressure(Value):
    """What vmstat would say, second by second: tasks that want a CPU, tasks that wait for a disk, pages that came from
    swap and went there."""

    running: tuple[int, ...]
    blocked: tuple[int, ...] = ()
    swapped_in: tuple[int, ...] = ()
    swapped_out: tuple[int, ...] = ()
    load: tuple[float, ...] = ()
    cpus: int = 1

    @property
    def swapping_seconds(self) -> int:
        """In how many of the seconds pages came from swap or went there."""
        return sum(a + b > 0 for a, b in zip(self.swapped_in, self.swapped_out, strict=True))

    def __str__(self) -> str:
        run = f"run queue {_span(self.running)} on {self.cpus} CPUs, {_span(self.blocked)} blocked"
        swap = f"swap in {_span(self.swapped_in)}, out {_span(self.swapped_out)} pages/s"
        return f"{run}; {swap}; load {' '.join(f'{one:g}' for one in self.load)}"


def _span(values: tuple[int, ...]) -> str:
    return "unknown" if not values else f"{min(values)}-{max(values)}" if min(values) < max(values) else f"{values[0]}"


def unit_of(cgroup: str) -> str:
    """The system service that a control group belongs to: the first part below the slices. One of a user's own
    manager, of a container or of another service manager below is none."""
    parts = [part for part in cgroup.split("/") if part]
    while parts and parts[0].endswith(".slice"):
        parts.pop(0)
    if not parts or not SERVICE.fullmatch(parts[0]) or parts[0].startswith("user@"):
        return ""
    return parts[0]


def lines_in(name: str) -> str:
    """An extended regular expression for the lines of /proc/PID/cgroup of what runs in the control group of this name.
    Of a system service that is the one of the host's own manager: what has its name in a container, or below a user's
    manager, is another's, and a user may call it anything."""
    above = "(/[^/]+[.]slice)*" if name.endswith(".service") else ".*"
    return f"^[0-9]+:[^:]*:{above}/{name.replace('.', '[.]')}(/|$)"
