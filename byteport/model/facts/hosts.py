"""What a host tells of itself, in our words."""

from __future__ import annotations

from pydantic import Field

from byteport.model.base import Value


class UnitState(Value):
    """A unit of a host's service manager, in systemd's own words. `status` is the exit status of its main process."""

    name: str
    active: str
    sub: str = ""
    result: str = ""
    status: int = 0

    @property
    def is_over(self) -> bool:
        """Its main process has ended, one way or the other."""
        return self.active == "failed" or (self.active == "active" and self.sub == "exited")

    @property
    def went_well(self) -> bool:
        return self.is_over and self.active == "active" and self.result == "success" and self.status == 0

    def __str__(self) -> str:
        ended = f", exit status {self.status}" if self.is_over else ""
        return f"{self.name}: {self.active} ({self.sub}), {self.result}{ended}"


class MountUse(Value):
    """A file system that is written to, where it is mounted. `inodes_total` None: it makes them as it needs them."""

    mount: str
    device: str
    bytes_used: int
    bytes_available: int
    inodes_total: int | None = None
    inodes_free: int | None = None

    @property
    def bytes_fraction(self) -> float:
        """Used of what an ordinary user may use, as df counts."""
        whole = self.bytes_used + self.bytes_available
        return self.bytes_used / whole if whole else 0.0

    @property
    def inodes_fraction(self) -> float:
        if not self.inodes_total or self.inodes_free is None:
            return 0.0
        return 1 - self.inodes_free / self.inodes_total


class Vitals(Value):
    """One look at a host. `busy` and `total` are the CPUs' ticks since its boot, which two looks make a share of;
    `oom_kills` None: its kernel does not count them. `unread` names what it could not tell."""

    busy: int
    total: int
    boot: int
    memory_total: int
    memory_available: int
    oom_kills: int | None = None
    mounts: tuple[MountUse, ...] = ()
    unread: tuple[str, ...] = ()


class HostInventory(Value):
    """What the people of a host have written about it in /etc/byteport/host.yaml, which only root may write. `why`
    says why nothing of it counts; empty where it does. `group` is the host's group in BytePort's own configuration."""

    annotations: dict[str, str] = Field(default_factory=dict)
    why: str = ""
    group: str = "default"

    def holds(self, key: str, word: str) -> bool:
        """Whether `word` stands in the comma-separated set under `key`."""
        return word in {part.strip() for part in self.annotations.get(key, "").split(",")}
