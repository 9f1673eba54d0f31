"""What a host tells of its file systems, in our words."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from byteport.model.base import Value

Metric = Literal["bytes", "inodes"]


class FileSystem(Value):
    """Where one is mounted, and what statvfs says of it. `places` are the device numbers of folders that clean-ups
    concern, those that exist. `inodes_total` 0: it makes them as it needs them. `owner`: a Kubernetes node where one
    was found."""

    mount: str
    device: str = ""
    kind: str = ""
    read_only: bool = False
    bytes_total: int
    bytes_used: int
    bytes_available: int
    inodes_total: int = 0
    inodes_free: int = 0
    number: int
    places: dict[str, int] = Field(default_factory=dict)
    kubernetes: bool = False

    @property
    def used_pct(self) -> float:
        """Used of what an ordinary user may use, as df counts; in percent."""
        whole = self.bytes_used + self.bytes_available
        return 100 * self.bytes_used / whole if whole else 0.0

    @property
    def inode_used_pct(self) -> float:
        if not self.inodes_total:
            return 0.0
        return 100 * (1 - self.inodes_free / self.inodes_total)

    def pct(self, metric: Metric) -> float:
        return self.used_pct if metric == "bytes" else self.inode_used_pct

    def holds(self, place: str) -> bool:
        """Whether that folder lies on this file system."""
        return self.places.get(place) == self.number


class Trend(Value):
    """By how many bytes a second it fills (less than nothing: it empties), seen over so many seconds, and by whom."""

    bytes_per_second: float
    seconds: int
    source: str

    def __str__(self) -> str:
        return f"{self.bytes_per_second * 300 / 1e6:+.1f} MB in 5 min, by {self.seconds} s of {self.source}"


class FoundFile(Value):
    """A file as it was found: `id` are its device, inode, size, and times of change, which must still be so."""

    id: str
    path: str
    bytes: int

    @property
    def written_at(self) -> int:
        """Seconds since 1970; of a log that was rotated, when that was. 0: the host told it in another form."""
        cells = self.id.split(":")
        return int(cells[3]) if len(cells) > 3 and cells[3].isdecimal() else 0

    @property
    def line(self) -> str:
        """As it is given to whoever removes it; the slash keeps a trailing space."""
        return f"{self.id} {self.path}/"

    def __str__(self) -> str:
        return self.path


class FoundFiles(Value):
    """The largest of them, and how many there are in all; `cut`: the search ran out of time. `unread` says why nothing
    is known."""

    files: tuple[FoundFile, ...] = ()
    count: int = 0
    bytes: int = 0
    cut: bool = False
    unread: str = ""


class ChangedFiles(Value):
    """What became of each: `done` with the bytes that this freed; the others by the word that kept them."""

    done: tuple[str, ...] = ()
    bytes: int = 0
    left: dict[str, int] = Field(default_factory=dict)


class DeletedFile(Value):
    """A file without a name that a process keeps open: its space comes back when that process lets go of it. `device`
    is its file system's number; 0: not known."""

    path: str
    bytes: int
    pid: int
    process: str = ""
    device: int = 0


class Consumer(Value):
    """How much lies below a folder."""

    path: str
    bytes: int


class Consumers(Value):
    """The largest first; `unread` says what could not be measured, or why nothing was."""

    folders: tuple[Consumer, ...] = ()
    deleted: tuple[DeletedFile, ...] = ()
    unread: str = ""


class JournalUse(Value):
    """What the journal takes, archived files and current ones."""

    bytes: int


class Image(Value):
    """An image of containers. `containers` use it; `created` is a date as docker writes it, in the host's own time."""

    id: str
    repository: str = ""
    tag: str = ""
    created: str = ""
    bytes: int = 0
    containers: int = 0

    @property
    def made_at(self) -> datetime | None:
        """None where it cannot be read."""
        try:
            return datetime.strptime(self.created[:25], "%Y-%m-%d %H:%M:%S %z")
        except ValueError:
            return None


class NamedVolume(Value):
    """A volume of containers: data, which nothing here ever removes."""

    name: str
    bytes: int = 0


class ContainerUse(Value):
    """What docker keeps. `just_ended` are containers that ended within the hour and may await somebody's look."""

    images: tuple[Image, ...] = ()
    volumes: tuple[NamedVolume, ...] = ()
    just_ended: tuple[str, ...] = ()


class Volume(Value):
    """A cloud's disk under a mount. `changing`: a modification of it is under way. `why` says why it is not to be
    grown: its layout, its provider, a login that is missing."""

    id: str = ""
    provider: str = ""
    region: str = ""
    gigabytes: int = 0
    changing: bool = False
    why: str = ""
