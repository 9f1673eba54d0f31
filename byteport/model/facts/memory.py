"""What a host tells of its memory and of who uses it, in our words. All sizes are bytes."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from byteport.model.base import Value

MIB, GIB = 1 << 20, 1 << 30


class Meminfo(Value):
    """/proc/meminfo. `available` is the kernel's own estimate of what can be had without swapping; page cache counts
    as had. `oom_kills` and `major_faults` are counted since the boot; None: this kernel does not."""

    total: int
    available: int
    free: int = 0
    cached: int = 0
    swap_total: int = 0
    swap_free: int = 0
    oom_kills: int | None = None
    major_faults: int | None = None

    @property
    def used_pct(self) -> float:
        """100 x (1 - MemAvailable / MemTotal)."""
        return 100 * (1 - self.available / self.total)

    @property
    def not_free_pct(self) -> float:
        """What a look at MemFree alone would call used: page cache and all."""
        return 100 * (1 - self.free / self.total)

    @property
    def swap_used(self) -> int:
        return max(0, self.swap_total - self.swap_free)

    def __str__(self) -> str:
        return f"{self.used_pct:.1f} % of {in_words(self.total)} used, {in_words(self.available)} can be had"


class Stall(Value):
    """/proc/pressure/memory: the share of the time, in percent, in which some or all tasks waited for memory."""

    some_avg10: float
    some_avg60: float
    full_avg60: float = 0.0


class Consumer(Value):
    """Who holds memory: a system service, or else a control group or process that is none (`unit` empty). `rss` leaves
    shared memory out, which would be counted once for each process. `age` is how many seconds the oldest of its
    processes has lived; `pid` and `name` are those of the largest, and only what it calls itself."""

    unit: str = ""
    group: str = ""
    rss: int
    swap: int = 0
    processes: int = 1
    pid: int
    name: str
    age: float

    @property
    def key(self) -> str:
        """By what it is found again in another look."""
        return self.unit or f"{self.group} {self.name}".strip()

    def __str__(self) -> str:
        return f"{self.unit or f'{self.name} (pid {self.pid})'}: {in_words(self.rss)}"


class Process(Value):
    """One process. `group` is its control group."""

    pid: int
    parent: int = 0
    name: str
    user: int = 0
    rss: int
    shared: int = 0
    swap: int = 0
    threads: int = 1
    major_faults: int = 0
    age: float = 0.0
    group: str = ""
    unit: str = ""


class TopMemory(Value):
    """The largest consumers and processes, the largest first."""

    consumers: tuple[Consumer, ...]
    processes: tuple[Process, ...] = ()

    def of(self, unit: str) -> Consumer | None:
        return next((one for one in self.consumers if one.unit == unit), None)


class Group(Value):
    """A control group's own memory, by whichever version its host has. `limit` is the tightest on the way up, None
    where there is none; `working_set` is what the kernel cannot simply take back (current minus inactive file pages).
    `oom_kills` None: this kernel does not count them."""

    path: str
    version: int
    current: int
    limit: int | None = None
    working_set: int
    anon: int = 0
    oom_kills: int | None = None
    pids: tuple[int, ...] = ()


class Groups(Value):
    """The control groups of a host's services, by name. `why` says what kept them from being read."""

    groups: dict[str, Group] = Field(default_factory=dict)
    why: str = ""


class Held(Value):
    """What a process has open; None: not to be seen without more rights."""

    pid: int
    parent: int
    name: str
    rss: int
    files: int | None = None
    sockets: int | None = None


class Audit(Value):
    """The processes of the largest services as a tree, how many files and sockets they have open, and the sockets in
    use on the whole host. `lacks` says what could not be seen."""

    units: dict[str, tuple[Held, ...]] = Field(default_factory=dict)
    sockets_in_use: int | None = None
    lacks: tuple[str, ...] = ()

    def of(self, unit: str) -> tuple[Held, ...]:
        return self.units.get(unit, ())

    def in_words(self, unit: str) -> str:
        """One line: how many processes, files and sockets."""
        held = self.of(unit)
        files, sockets = ([n for one in held if (n := getattr(one, name)) is not None] for name in ("files", "sockets"))
        seen = f"{sum(files)} open files and {sum(sockets)} sockets" if files else "open files and sockets not seen"
        return f"{len(held)} processes, {seen}"


class Samples(Value):
    """How much memory one consumer held, the oldest first."""

    key: str
    points: tuple[tuple[AwareDatetime, int], ...]


class History(Value):
    """What is remembered of who held how much; `source` says by whom."""

    source: str
    series: tuple[Samples, ...] = ()

    def of(self, key: str) -> tuple[tuple[AwareDatetime, int], ...]:
        return next((one.points for one in self.series if one.key == key), ())


class KernelLines(Value):
    """What the kernel wrote about kills for want of memory, the newest last. `why` says why that cannot be read."""

    lines: tuple[str, ...] = ()
    why: str = ""


def in_words(size: float) -> str:
    """For people: 1.5 GiB, 300 MiB."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"
