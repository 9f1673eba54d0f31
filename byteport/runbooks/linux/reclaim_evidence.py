"""What the page that reclaims space looks at, and how it reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from byteport.model.facts.disks import Consumers, ContainerUse, FileSystem, FoundFiles, JournalUse, Volume
from byteport.probes import disks
from byteport.runbooks.linux.disk_evidence import DiskEvidence

DAY = 24 * 60
TMP, VAR_TMP = "/tmp", "/var/tmp"  # noqa: S108
AGES: Mapping[str, int] = {"big_logs": DAY, "tmp_files": 2 * DAY, "var_tmp_files": 7 * DAY}
INODES = 90.0
GB = 1024**3


class ReclaimEvidence(DiskEvidence):
    """What we look at (fields, each filled in by its probe) and how we read it (methods)."""

    disk_usage: Annotated[FileSystem, disks.disk_usage]
    inode_usage: Annotated[FileSystem, disks.inode_usage]
    top_dirs: Annotated[Consumers, disks.top_dirs]
    docker_usage: Annotated[ContainerUse | None, disks.docker_usage]
    journal_usage: Annotated[JournalUse, disks.journal_usage]
    cloud_volume: Annotated[Volume, disks.cloud_volume]
    big_logs: Annotated[FoundFiles, disks.sweep("big_logs", "big", "/var/log", AGES["big_logs"])]
    tmp_files: Annotated[FoundFiles, disks.sweep("tmp_files", "tmp", TMP, AGES["tmp_files"])]
    var_tmp_files: Annotated[FoundFiles, disks.sweep("var_tmp_files", "tmp", VAR_TMP, AGES["var_tmp_files"])]

    @property
    def inode_threshold(self) -> float:
        return INODES

    @property
    def escalate_above(self) -> float:
        """Never at or below the floor."""
        return max(self.floor + 1, float(self.options.get("escalateAbovePct", 85)))

    def bytes_ran_out(self) -> bool:
        """The mount is fuller than 85 %."""
        return self.disk_usage.used_pct > self.threshold

    def inodes_ran_out(self) -> bool:
        """More than 90 % of the mount's inodes are used."""
        return self.inode_usage.inode_used_pct > INODES

    def at_most_escalate_above(self) -> bool:
        """No more is used than what people are told of."""
        return self.used <= self.escalate_above

    def over_escalate_above(self) -> bool:
        """More is used than what people are told of."""
        return not self.at_most_escalate_above()

    @property
    def more_gigabytes(self) -> int:
        """By how much the disk would have to grow for what is used to be 80 % of it."""
        used, whole = self.disk_usage.bytes_used / GB, self.disk_usage.bytes_total / GB
        return max(1, math.ceil(used / 0.80 - whole))
