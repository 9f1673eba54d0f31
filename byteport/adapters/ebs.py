"""EBS: which volume a host's disk is, and making it larger, by boto3's own login.

On Nitro instances an EBS volume is an NVMe disk whose serial is its id (EC2 user guide, "Identify the EBS device"). A
volume has one modification at a time; its new size can be used from `optimizing` on; none can be made smaller again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from byteport.adapters.aws import clients, translated
from byteport.adapters.disk_layout import Layout
from byteport.errors import Permanent
from byteport.model.facts.disks import Volume
from byteport.settings.hosts import CloudSection

PATIENCE = timedelta(seconds=8)
SERIAL = re.compile(r"vol-?([0-9a-f]{8}|[0-9a-f]{17})")
LOOKING = "ec2:DescribeVolumes and ec2:DescribeVolumesModifications"


@dataclass(frozen=True)
class Ebs:
    """One client for a region and profile, made when it is first needed."""

    ec2_of: Callable[[CloudSection], Any] = lambda cloud: clients(["ec2"], cloud.region, PATIENCE, cloud.profile)["ec2"]
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def under(self, host: str, cloud: CloudSection, layout: Layout) -> Volume:
        if (known := SERIAL.fullmatch(layout.serial)) is None:
            said = layout.serial or "none"
            return Volume(why=f"the disk of {layout.name} has no serial of an EBS volume ({said})")
        return self._described(cloud, f"vol-{known[1]}")

    def grow(self, cloud: CloudSection, volume: Volume, to_gigabytes: int, mark: str) -> str:
        """ModifyVolume takes no mark of ours: that it is not sent twice is the action's promise. The answer is when the
        modification began, which names it among the volume's."""
        if volume.region != cloud.region:
            raise Permanent(f"{volume.id} is not of {cloud.region}")
        if (now := self._described(cloud, volume.id)).gigabytes != volume.gigabytes or now.changing:
            raise Permanent(f"{volume.id} has {now.gigabytes} GB by now, or is being changed")
        with translated("ec2:ModifyVolume"):
            told = self._ec2(cloud).modify_volume(VolumeId=volume.id, Size=to_gigabytes)
        began = told.get("VolumeModification", {}).get("StartTime")
        return began.isoformat() if isinstance(began, datetime) else ""

    def failed(self, cloud: CloudSection, volume: Volume, change: str) -> str:
        """Why the modification that began then has failed; empty while it may still come, or has."""
        if not change:
            return ""
        began = datetime.fromisoformat(change).replace(microsecond=0)  # it is not always told to the same fraction
        failed = [one for one in self._changes(cloud, volume.id) if _has_failed(one, began)]
        said = "; ".join(str(one.get("StatusMessage") or "no reason is given") for one in failed)
        return f"aws: the modification has failed: {said}" if failed else ""

    def check(self, host: str, cloud: CloudSection) -> None:
        with translated(LOOKING):
            self._ec2(cloud).describe_volumes(MaxResults=5)
            self._ec2(cloud).describe_volumes_modifications(MaxResults=5)

    def _described(self, cloud: CloudSection, name: str) -> Volume:
        with translated(LOOKING):
            (found,) = self._ec2(cloud).describe_volumes(VolumeIds=[name])["Volumes"]
        changes = self._changes(cloud, name)
        under_way = any(one.get("ModificationState") == "modifying" for one in changes)
        size = _usable(changes, int(found["Size"]))
        return Volume(id=name, provider="aws", region=cloud.region, gigabytes=size, changing=under_way)

    def _changes(self, cloud: CloudSection, name: str) -> list[dict[str, Any]]:
        """The newest modification of the volume, where it has one."""
        with translated(LOOKING):
            told = self._ec2(cloud).describe_volumes_modifications(Filters=[{"Name": "volume-id", "Values": [name]}])
        found: list[dict[str, Any]] = told["VolumesModifications"]
        return found

    def _ec2(self, cloud: CloudSection) -> Any:
        key = (cloud.region, cloud.profile)
        if key not in self._clients:
            self._clients[key] = self.ec2_of(cloud)
        return self._clients[key]


def _has_failed(change: dict[str, Any], since: datetime) -> bool:
    began = change.get("StartTime")
    return change.get("ModificationState") == "failed" and isinstance(began, datetime) and began >= since


def _usable(changes: list[dict[str, Any]], size: int) -> int:
    """The size that a modification has brought, from `optimizing` on."""
    usable = ("optimizing", "completed")
    brought = [int(one.get("TargetSize", 0)) for one in changes if one.get("ModificationState") in usable]
    return max([size, *brought])
