"""What a host says of the disk under a mount: enough to know which of a cloud's it is, and whether it can be grown."""

from __future__ import annotations

from dataclasses import dataclass

from byteport.adapters.transport import ByName

EXTENDED = ("ext2", "ext3", "ext4", "xfs")
SECTORS = 2 * 1024 * 1024  # of 512 bytes, as sysfs counts, in one of the gigabytes that clouds count
# Name, disk, whether it is a whole disk, the last partition or another, kind of file system, serial of the disk. Then
# its sectors, then a line for each name that udev's rules of Google's images have given the disk.
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
cat "$disk/size" 2>/dev/null || echo 0
for link in /dev/disk/by-id/google-*; do
  [ "$(readlink -f "$link")" != "/dev/${disk##*/}" ] || echo "${link##*/google-}"
done
"""


@dataclass(frozen=True)
class Layout:
    """`part`: whole, last or inner. `gigabytes` is what the kernel sees; `google` are the disk's names at Google."""

    name: str = ""
    part: str = ""
    kind: str = ""
    serial: str = ""
    gigabytes: float = 0
    google: tuple[str, ...] = ()

    @property
    def unfit(self) -> str:
        """Why nobody but a person grows it; empty where it can be grown."""
        if self.name in ("", "-") or self.name.startswith(("dm-", "md")):
            return f"{self.name or 'it'} is LVM, RAID or no disk at all"
        if self.part == "inner":
            return f"{self.name} is not the last partition of its disk"
        return "" if self.kind in EXTENDED else f"{self.kind} is not grown"


def layout_under(hosts: ByName, host: str, mount: str) -> Layout:
    """Raises what the transport raises."""
    told = hosts.get(host).run(("sh", "-c", LAYOUT, mount)).stdout.splitlines()
    first, size, *links = [*told, "", ""][: max(len(told), 2)]
    name, _, part, kind, serial, *_ = [*first.split(), *[""] * 5]
    sectors = int(size) if size.strip().isdigit() else 0
    return Layout(name, part, kind, serial, sectors / SECTORS, tuple(link.strip() for link in links if link.strip()))
