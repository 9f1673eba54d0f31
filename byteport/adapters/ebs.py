"""A host's cloud disk: which one lies under a mount, and making it larger. EBS, by boto3's own login.

On Nitro instances an EBS volume is an NVMe disk whose serial is its id (EC2 user guide, "Identify the EBS device"). A
volume has one modification at a time; its new size can be used from `optimizing` on; none can be made smaller again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from byteport.adapters.aws import clients, translated
from byteport.adapters.transport import ByName
from byteport.errors import Permanent
from byteport.model.facts.disks import Volume
from byteport.settings.hosts import CloudSection

PATIENCE = timedelta(seconds=8)
EXTENDED = ("ext2", "ext3", "ext4", "xfs")
SERIAL = re.compile(r"vol-?([0-9a-f]{8}|[0-9a-f]{17})")
# Name, disk, whether it is a whole disk, the last partition or another, kind of file system, serial of the disk.
LAYOUT = """
found=$(awk -v m="$0" '$5==m {d=$3; for (i=7; i<NF; i++) if ($i=="-") k=$(i+1)} END {print d, k}' /proc/self/mountinfo)
node=$(readlink -f "/sys/dev/block/${found% *}")
name=${node##*/} disk=$node part=whole
if [ -e "$node/partition" ]; then
  disk=${node%/*} part=last
  for other in "$disk"/*/start; do [ "$(cat "$other")" -le "$(cat "$node/start")" ] || part=inner; done
fi
serial=$(cat "$disk/device/serial" 2>/dev/null || cat "$disk/serial" 2>/dev/null)
echo "${name:--} ${disk##*/} $part ${found#* } $serial"
"""


@dataclass(frozen=True)
class CloudVolumes:
    """`clouds` are the hosts that are a cloud's. One client for a region and profile, made when it is first needed."""

    hosts: ByName
    clouds: Mapping[str, CloudSection]
    ec2_of: Callable[[CloudSection], Any] = lambda cloud: clients(["ec2"], cloud.region, PATIENCE, cloud.profile)["ec2"]
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def volume(self, host: str, mount: str) -> Volume:
        told = self.hosts.get(host).run(("sh", "-c", LAYOUT, mount))
        name, _, part, kind, serial, *_ = [*told.stdout.split(), *[""] * 5]
        if why := _unfit(name, part, kind):
            return Volume(why=why)
        cloud, known = self.clouds.get(host), SERIAL.fullmatch(serial)
        if cloud is None:
            return Volume(why=f"hosts.{host}.cloud is not configured")
        if known is None:
            return Volume(why=f"the disk of {name} has no serial of an EBS volume ({serial or 'none'})")
        return self._described(cloud, f"vol-{known[1]}")

    def grow(self, volume: Volume, to_gigabytes: int) -> None:
        cloud = next((one for one in self.clouds.values() if one.region == volume.region), None)
        if cloud is None or to_gigabytes <= volume.gigabytes:
            raise Permanent(f"{volume.id} is not grown from {volume.gigabytes} to {to_gigabytes} GB")
        if (now := self._described(cloud, volume.id)).gigabytes != volume.gigabytes or now.changing:
            raise Permanent(f"{volume.id} has {now.gigabytes} GB by now, or is being changed")
        with translated("ec2:ModifyVolume"):
            self._ec2(cloud).modify_volume(VolumeId=volume.id, Size=to_gigabytes)

    def _described(self, cloud: CloudSection, name: str) -> Volume:
        with translated("ec2:DescribeVolumes and ec2:DescribeVolumesModifications"):
            (found,) = self._ec2(cloud).describe_volumes(VolumeIds=[name])["Volumes"]
            changes = self._ec2(cloud).describe_volumes_modifications(
                Filters=[{"Name": "volume-id", "Values": [name]}]
            )["VolumesModifications"]
        under_way = any(one.get("ModificationState") == "modifying" for one in changes)
        size = _usable(changes, int(found["Size"]))
        return Volume(id=name, provider="aws", region=cloud.region, gigabytes=size, changing=under_way)

    def _ec2(self, cloud: CloudSection) -> Any:
        key = (cloud.region, cloud.profile)
        if key not in self._clients:
            self._clients[key] = self.ec2_of(cloud)
        return self._clients[key]


def _usable(changes: list[dict[str, Any]], size: int) -> int:
    """The size that a modification has brought, from `optimizing` on."""
    usable = ("optimizing", "completed")
    brought = [int(one.get("TargetSize", 0)) for one in changes if one.get("ModificationState") in usable]
    return max([size, *brought])


def _unfit(name: str, part: str, kind: str) -> str:
    """Why nobody but a person grows it; empty where it can be grown."""
    if name in ("", "-") or name.startswith(("dm-", "md")):
        return f"{name or 'it'} is LVM, RAID or no disk at all"
    if part == "inner":
        return f"{name} is not the last partition of its disk"
    return "" if kind in EXTENDED else f"{kind} is not grown"
