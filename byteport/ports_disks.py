"""What is asked of a host's file systems, and what may be changed there.

All raise Transient, Denied or Permanent, as everything does that is asked of hosts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from byteport.model.facts.disks import (
    ChangedFiles,
    Consumers,
    ContainerUse,
    FileSystem,
    FoundFile,
    FoundFiles,
    JournalUse,
    Trend,
    Volume,
)
from byteport.model.root_commands import What


class Disks(Protocol):
    """Looks; what it may not read it says."""

    def file_system(self, host: str, mount: str) -> FileSystem:
        """Raises Permanent where nothing is mounted there."""
        ...

    def trend(self, host: str, mount: str) -> Trend:
        """Of two looks, some seconds apart."""
        ...

    def found(self, host: str, what: What, root: str, minutes: int) -> FoundFiles:
        """Files of that kind below `root` that nobody has used or changed for so long, and that are not open."""
        ...

    def still_there(self, host: str, what: What, root: str, minutes: int, files: Sequence[FoundFile]) -> set[str]:
        """The paths of those that are still exactly as they were found."""
        ...

    def consumers(self, host: str) -> Consumers: ...
    def journal(self, host: str) -> JournalUse: ...
    def containers(self, host: str) -> ContainerUse: ...


class DiskCleaning(Protocol):
    """Changes; whatever has changed since it was found, is open by now, or may not be touched, is left alone."""

    def change(self, host: str, what: What, root: str, minutes: int, files: Sequence[FoundFile]) -> ChangedFiles:
        """Temporary files and compressed logs are removed, other logs compressed."""
        ...


class Volumes(Protocol):
    """Clouds' disks."""

    def volume(self, host: str, mount: str) -> Volume:
        """The disk under a mount; one that is not a cloud's, or not known how to grow, says why."""
        ...

    def failed(self, host: str, volume: Volume, change: str) -> str:
        """Why a change that `grow` has named ended without its effect; empty while it may still come, or has."""
        ...


class VolumeGrowing(Protocol):
    """Enlarges a cloud's disk; none can be made smaller again."""

    def grow(self, host: str, volume: Volume, to_gigabytes: int, mark: str) -> str:
        """Asked for, not waited for: the name under which the change can be looked at, empty where it has none. `mark`
        names the request, where the cloud can tell one that it has had already. Raises Permanent where it is not larger
        than it is now, or was refused."""
        ...
