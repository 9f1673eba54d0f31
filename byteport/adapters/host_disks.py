"""A host's file systems: what its kernel says of them, what fills them, and clean-ups that judge every file again.

What needs root goes through `sudo -n`, in exactly the words of `byteport.model.root_commands`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from byteport.adapters import docker
from byteport.adapters.transport import ByName, Completed
from byteport.errors import Denied, Permanent, Transient
from byteport.model import root_commands
from byteport.model.facts.disks import (
    ChangedFiles,
    Consumer,
    Consumers,
    ContainerUse,
    DeletedFile,
    FileSystem,
    FoundFile,
    FoundFiles,
    JournalUse,
    Trend,
)
from byteport.model.root_commands import SUDO, What
from byteport.model.units import seconds
from byteport.redaction import redact_text

PLACES = (
    "/", "/root", "/tmp", "/var/tmp", "/var/log", "/var/log/journal", "/run/log/journal", "/var/cache",  # noqa: S108
    "/var/cache/apt", "/var/cache/dnf", "/var/cache/yum",
    "/var/lib/docker", "/var/lib/containerd",
)  # fmt: skip
# A dead mount lets go of nobody but the killed: it is asked last, and for a while only.
LOOK = """
export LC_ALL=C
echo '=== node'; { [ -e /var/lib/kubelet/config.yaml ] || [ -e /etc/kubernetes/kubelet.conf ] || [ -e /etc/rancher ] ||
  [ -e /var/lib/kubelet/pods ] || grep -qsEx 'kubelet|kubelite|k3s.*' /proc/[0-9]*/comm; } && echo kubelet
echo '=== mounts'; cat /proc/self/mountinfo
echo '=== places'; shift; timeout -s KILL 3 stat -L -c '%d %n' "$@" 2>/dev/null
echo '=== statfs'; timeout -s KILL 4 stat -c %d "$0" && timeout -s KILL 4 stat -f -c '%S %b %f %a %c %d' "$0"
exit 0
"""
APART = 5
TWICE = f"""
export LC_ALL=C
timeout -s KILL 2 stat -f -c '%S %f' "$0" && sleep {APART} && timeout -s KILL 2 stat -f -c '%S %f' "$0"
"""
SMALL = seconds(10)
SCAN = seconds(25)
LONG = timedelta(seconds=70)
REFUSED = re.compile(r"password is required|not allowed to execute|not in the sudoers", re.IGNORECASE)
NOT_WRITTEN = {"ro", "emergency_ro", "shutdown"}  # the mount, or after an error its file system, in words old and new
HEADING = re.compile(r"^=== ", re.MULTILINE)  # nothing that a mount's name can hold: each has a line of its own
ABSENT = re.compile(r"not found|No such file", re.IGNORECASE)


@dataclass(frozen=True)
class HostDisks:
    """Over whichever transport a host has."""

    hosts: ByName

    def file_system(self, host: str, mount: str) -> FileSystem:
        told = self.hosts.get(host).run(("sh", "-c", LOOK, mount, "-", *PLACES), within=SMALL)
        return parsed(host, mount, told.stdout)

    def trend(self, host: str, mount: str) -> Trend:
        told = self.hosts.get(host).run(("sh", "-c", TWICE, mount), within=SMALL)
        figures = [int(cell) for cell in told.stdout.split() if cell.isdigit()]
        if told.status != 0 or len(figures) != 4:
            raise Transient(f"{host}: the file system at {mount} does not answer")
        size, before, _, after = figures
        return Trend(bytes_per_second=(before - after) * size / APART, seconds=APART, source="two looks")

    def found(self, host: str, what: What, root: str, minutes: int) -> FoundFiles:
        """A host that does not let us look there says so in the answer."""
        told = self._as_root(host, root_commands.list_files(what, root, minutes), SCAN)
        return found_files(told.stdout)

    def still_there(self, host: str, what: What, root: str, minutes: int, files: Sequence[FoundFile]) -> set[str]:
        command = root_commands.change_files("check", what, root, minutes)
        told = self._as_root(host, command, SCAN, files)
        return {line.removeprefix("there ") for line in told.stdout.splitlines() if line.startswith("there ")}

    def change(self, host: str, what: What, root: str, minutes: int, files: Sequence[FoundFile]) -> ChangedFiles:
        command = root_commands.change_files("apply", what, root, minutes)
        return changed(self._as_root(host, command, SCAN, files).stdout)

    def consumers(self, host: str) -> Consumers:
        large = self._as_root(host, root_commands.largest_folders(), LONG)
        deleted = self._as_root(host, root_commands.deleted_files(), SCAN)
        return Consumers(folders=tuple(_folders(large.stdout)), deleted=tuple(_deleted(deleted.stdout)),
                         unread=", ".join(_not_measured(large.stdout)))  # fmt: skip

    def journal(self, host: str) -> JournalUse:
        told = self._as_root(host, root_commands.JOURNAL_USAGE, SMALL)
        size = re.search(r"take up ([0-9.]+)([BKMGT])", told.stdout)
        if size is None:
            raise Permanent(f"{host}: journalctl does not tell how much it takes: {redact_text(told.stdout)[:100]}")
        return JournalUse(bytes=round(float(size[1]) * 1024 ** "BKMGT".index(size[2])))

    def containers(self, host: str) -> ContainerUse:
        return docker.used(self._as_root(host, root_commands.CONTAINER_USE, SCAN).stdout)

    def _as_root(
        self, host: str, command: Sequence[str], within: timedelta, files: Sequence[FoundFile] = ()
    ) -> Completed:
        """Raises Denied where sudo does not let these very words through, Permanent where they failed."""
        stdin = "".join(f"{file.line}\n" for file in files).encode()
        told = self.hosts.get(host).run((*SUDO, *command), within=within, stdin=stdin)
        if told.status == 0:
            return told
        said = redact_text(" ".join(told.stderr.split()))[:200]
        if REFUSED.search(said) or (ABSENT.search(said) and "sudo" in said):
            raise Denied(f"{host}: sudo does not let it through; install what `byteport permissions` writes ({said})")
        raise Permanent(f"{host}: as root, {command[3] if len(command) > 3 else command[0]} failed: {said}")


def parsed(host: str, mount: str, text: str) -> FileSystem:
    """Pure. Raises Permanent where nothing is mounted there, Transient where it did not answer in time."""
    parts = {name.strip(): lines for name, *lines in (part.splitlines() for part in HEADING.split(text)[1:])}
    line = next((line for line in reversed(parts.get("mounts", [])) if _mounted_at(line) == mount), None)
    if line is None:
        raise Permanent(f"{host}: nothing is mounted at {mount}")
    number, figures = [*parts.get("statfs", []), "", ""][:2]
    cells = [int(cell) for cell in figures.split() if cell.isdigit()]
    if len(cells) != 6 or not number.isdigit():
        raise Transient(f"{host}: the file system at {mount} does not answer")
    size, whole, free, available, inodes, inodes_free = cells
    before, _, after = line.partition(" - ")
    kind, device, options = [*after.split(), "", "", ""][:3]
    places = [known.split(" ", 1) for known in parts.get("places", []) if " " in known]
    return FileSystem(
        mount=mount, device=device, kind=kind,
        read_only=bool(NOT_WRITTEN & {*before.split()[5].split(","), *options.split(",")}),
        bytes_total=whole * size, bytes_used=(whole - free) * size, bytes_available=available * size,
        inodes_total=inodes, inodes_free=inodes_free, number=int(number),
        places={path: int(device_number) for device_number, path in places},
        kubernetes=bool(parts.get("node")),
    )  # fmt: skip


def _mounted_at(line: str) -> str:
    """mountinfo writes blanks, tabs, line ends and backslashes in octal."""
    cells = line.split()
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), cells[4]) if len(cells) > 6 else ""


def found_files(text: str) -> FoundFiles:
    """Pure. What was not shown as it is (no UTF-8) is left out: nobody could name it again. Raises Transient where the
    list has no end."""
    *lines, last = [line for line in text.splitlines() if line] or [""]
    word, *cells = last.split()
    if word != "total" or len(cells) != 3:
        raise Transient("the list of files was cut off")
    files = tuple(_files(lines))
    return FoundFiles(files=files, count=int(cells[0]), bytes=int(cells[1]), cut=cells[2] == "1")


def _files(lines: Sequence[str]) -> Iterator[FoundFile]:
    for line in lines:
        cells = line.split(" ", 6)
        if len(cells) == 7 and cells[2].isdigit() and "\ufffd" not in line:
            yield FoundFile(id=cells[0], path=cells[6], bytes=int(cells[2]) * 512)


def changed(text: str) -> ChangedFiles:
    """Pure."""
    done, freed, left = [], 0, Counter[str]()
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "done":
            blocks, _, path = rest.partition(" ")
            done.append(path)
            freed += int(blocks) * 512
        else:
            left[word] += 1
    return ChangedFiles(done=tuple(done), bytes=freed, left=dict(left))


def _folders(text: str) -> Iterator[Consumer]:
    """The largest ten; a folder and what lies in it are both told."""
    rows = [line.split(None, 1) for line in text.splitlines() if "(not measured" not in line]
    for size, path in [row for row in rows if len(row) == 2 and row[0].isdigit()][:10]:
        yield Consumer(path=path, bytes=int(size) * 1024)


def _not_measured(text: str) -> Iterator[str]:
    return (line.split(" ", 1)[1] for line in text.splitlines() if "(not measured" in line)


def _deleted(text: str) -> Iterator[DeletedFile]:
    for line in text.splitlines():
        cells = line.split(" ", 4)
        if len(cells) == 5 and cells[0].isdigit():
            path, device = cells[4].removesuffix(" (deleted)"), int(cells[1].partition(":")[0])
            yield DeletedFile(path=path, bytes=int(cells[0]) * 512, pid=int(cells[2]), process=cells[3], device=device)
