"""How all pages about full disks read what they see: percent used as df counts, of bytes or of inodes."""

from __future__ import annotations

from byteport.model.facts.disks import FileSystem, FoundFiles, Metric
from byteport.runbooks.linux.host_evidence import HostEvidence

NEARLY_FULL = 95.0
IN_A_HURRY = 98.0
LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs")
SAFE_LIST = (
    "/var/log/lastlog", "/var/log/wtmp", "/var/log/btmp", "/var/log/audit/audit.log",
)  # fmt: skip
ACTIVE = ("access.log", "error.log", "auth.log", "audit.log", "lastlog", "wtmp", "btmp")
KEPT_FOLDERS = ("/var/log/audit/", "/var/log/journal/", "/var/log/pods/", "/var/log/containers/")


class DiskEvidence(HostEvidence):
    """A page names the field that holds its file system in `SYSTEM`, and its thresholds in percent."""

    SYSTEM = "disk_usage"

    @property
    def fs(self) -> FileSystem:
        found: FileSystem = getattr(self, self.SYSTEM)
        return found

    @property
    def threshold(self) -> float:
        return 85.0

    @property
    def inode_threshold(self) -> float:
        return 100.0

    @property
    def floor(self) -> float:
        return float(self.options.get("freeSpaceFloorPct", 80))

    @property
    def metric(self) -> Metric:
        """What it was that ran out at first: bytes, unless it was inodes alone."""
        first = self.before.fs
        only_inodes = first.inode_used_pct > self.inode_threshold and first.used_pct <= self.threshold
        return "inodes" if only_inodes else "bytes"

    @property
    def used(self) -> float:
        """Percent of what ran out."""
        return self.fs.pct(self.metric)

    def over_threshold(self) -> bool:
        """The mount is fuller than its threshold, of bytes or of inodes."""
        return self.fs.used_pct > self.threshold or self.fs.inode_used_pct > self.inode_threshold

    def is_well(self) -> bool:
        """The mount is not fuller than its threshold."""
        return not self.over_threshold()

    def can_be_cleaned(self) -> bool:
        """It is a local file system that can be written to."""
        return self.fs.kind in LOCAL and not self.fs.read_only

    def under_floor(self) -> bool:
        """Less of the mount is used than the floor allows."""
        return self.used < self.floor

    def over_floor(self) -> bool:
        """As much of the mount is used as the floor, or more."""
        return not self.under_floor()

    def nearly_full(self) -> bool:
        """More than 95 % is used."""
        return self.used > NEARLY_FULL

    def fills_up(self) -> bool:
        """It has filled by more than a point since the step before, or reached 98 %."""
        return self.used >= IN_A_HURRY or self.used > self.a_step_ago.used + 1

    def list_of(self, name: str) -> FoundFiles | None:
        """What a sweep would touch; None where the host did not let us look."""
        return getattr(self, name) if self.knows(name) else None


def why_kept(path: str) -> str:
    """Why a file may never be touched; empty where it may."""
    if path in SAFE_LIST or path.rpartition("/")[2] in ACTIVE:
        return "on the safe list"
    if any(path.startswith(folder) for folder in KEPT_FOLDERS):
        return "in a folder that is kept"
    if "/systemd-private-" in path or "/snap-private-tmp/" in path:
        return "a running program's private folder"
    return ""
