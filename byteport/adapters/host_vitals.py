"""A host's vitals in one round trip: what its kernel says in /proc, and what its file systems have left.

Written for a POSIX shell and what Debian, RHEL-like systems and busybox have in common. Network file systems and
those of a process are not asked: one whose server is gone would keep df waiting, and with it everything else about the
host. df tells some of them by a colon in their names, which not all have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from byteport.adapters.transport import ByName
from byteport.errors import Permanent, Transient
from byteport.model.facts.hosts import MountUse, Vitals

HEADING = re.compile(r"^=== ", re.MULTILINE)  # a mount may have it in its name, though not at the start of a line
SCRIPT = """
echo '=== stat'; grep -E '^(cpu|btime) ' /proc/stat
echo '=== memory'; grep -E '^(MemTotal|MemAvailable|MemFree|Buffers|Cached):' /proc/meminfo
echo '=== vmstat'; grep '^oom_kill ' /proc/vmstat
echo '=== mounts'; cat /proc/self/mounts
set -f; IFS='
'
set -- $(awk -v r="$0" '$3 !~ r {print $2}' /proc/self/mounts |
  sort -u | while read -r at; do printf '%b\n' "$at"; done)
echo '=== bytes'; timeout -s KILL 3 df -Pk "$@" 2>/dev/null
echo '=== inodes'; timeout -s KILL 3 df -Pi "$@" 2>/dev/null
exit 0
"""
PSEUDO = frozenset({
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fusectl", "hugetlbfs", "iso9660", "mqueue", "nsfs", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs",
    "squashfs", "sysfs", "tmpfs", "tracefs",
})  # fmt: skip
REMOTE = "nfs[0-9]?|cifs|smb3?|ceph|glusterfs|9p|afs|autofs|fuse([.].*)?"


@dataclass(frozen=True)
class HostVitals:
    """Over whichever transport a host has. Raises Transient, Denied or Permanent."""

    hosts: ByName
    patience: timedelta = timedelta(seconds=10)

    def vitals(self, host: str) -> Vitals:
        told = self.hosts.get(host).run(("sh", "-c", SCRIPT, f"^({REMOTE})$"), within=self.patience)
        if told.truncated:
            raise Permanent(f"{host}: it has too many mounts to tell of")
        return parsed(told.stdout, host)


def parsed(text: str, host: str = "") -> Vitals:
    """Pure. Raises Transient where the host did not tell of its CPUs or its memory: no answer is no health."""
    parts = dict(_parts(text))
    cpu = next((line.split()[1:] for line in parts.get("stat", []) if line.startswith("cpu ")), [])
    memory = {name.rstrip(":"): int(value) * 1024 for name, value in _pairs(parts.get("memory", []))}
    if len(cpu) < 4 or "MemTotal" not in memory:
        raise Transient(f"{host}: it did not tell of its CPUs and memory")
    ticks = [int(one) for one in cpu[:8]]  # guests are counted among user and nice already
    idle = ticks[3] + (ticks[4] if len(ticks) > 4 else 0)
    kills = [int(value) for _, value in _pairs(parts.get("vmstat", []))]
    boot = [int(line.split()[1]) for line in parts.get("stat", []) if line.startswith("btime ")]
    mounts = tuple(_mounts(parts))
    unread = tuple(name for name, said in (("file systems", mounts), ("OOM kills", kills)) if not said)
    return Vitals(
        busy=sum(ticks) - idle, total=sum(ticks), boot=boot[0] if boot else 0, memory_total=memory["MemTotal"],
        memory_available=memory.get("MemAvailable", _available(memory)), oom_kills=kills[0] if kills else None,
        mounts=mounts, unread=unread,
    )  # fmt: skip


def _available(memory: Mapping[str, int]) -> int:
    """As kernels before 3.14 would have estimated it."""
    return memory.get("MemFree", 0) + memory.get("Buffers", 0) + memory.get("Cached", 0)


def _mounts(parts: Mapping[str, list[str]]) -> Iterator[MountUse]:
    """Those that are written to, each device once: where its name is shortest, as df does."""
    inodes = {line[5]: line for line in _table(parts.get("inodes", []))}
    bytes_of = {line[5]: line for line in _table(parts.get("bytes", []))}
    seen: set[str] = set()
    for line in sorted(parts.get("mounts", []), key=lambda line: len(line.split(" ")[1])):
        device, mount, kind, options, *_ = [*line.split(), "", "", "", ""]
        mount = mount.replace("\\040", " ").replace("\\011", "\t")
        told = bytes_of.get(mount)
        if told is None or kind in PSEUDO or re.fullmatch(REMOTE, kind) or "ro" in options.split(","):
            continue
        if (device in seen and device.startswith("/")) or (kind == "overlay" and mount != "/"):
            continue  # a bind mount, or a container's layers on a disk that is listed by itself
        seen.add(device)
        ends = inodes.get(mount, [])
        yield MountUse(
            mount=mount, device=device, bytes_used=int(told[2]) * 1024, bytes_available=int(told[3]) * 1024,
            inodes_total=int(ends[1]) or None if ends and ends[1].isdigit() else None,
            inodes_free=int(ends[3]) if ends and ends[3].isdigit() else None,
        )  # fmt: skip


def _table(lines: list[str]) -> Iterator[list[str]]:
    """df's rows: device, whole, used, available, share, mount."""
    for line in lines:
        cells = line.split(None, 5)
        if len(cells) == 6 and cells[2].isdigit() and cells[3].isdigit():
            yield cells


def _pairs(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        cells = line.split()
        if len(cells) >= 2 and cells[1].isdigit():
            yield cells[0], cells[1]


def _parts(text: str) -> Iterator[tuple[str, list[str]]]:
    for part in HEADING.split(text)[1:]:
        name, *lines = part.splitlines()
        yield name.strip(), lines
