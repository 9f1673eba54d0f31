"""Small file systems of their own for folders of the tests' hosts, with files that are as old as a test wants them."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.servers import eventually


@dataclass(frozen=True)
class Old:
    """A file with nothing but its size, last used and changed so long ago; its path begins below its scratch folder."""

    path: str
    megabytes: float
    days: float = 0
    fill: bytes = b"x"
    owner: int = 0


@dataclass(frozen=True)
class Scratch:
    """A small file system of its own for a folder of the host's, on a loop device."""

    kind: str
    megabytes: int
    options: tuple[str, ...] = ()
    files: tuple[Old, ...] = ()


def mounted(undo: ExitStack, folder: Path, place: Path, small: Scratch) -> None:
    """Mounted there until the end, with what stood there before."""
    image, first = folder / f"{place.name}.img", folder / f"{place.name}.first"
    with image.open("wb") as file:
        file.truncate(small.megabytes * 1024 * 1024)
    ran(f"mkfs.{small.kind}", "-q", *small.options, str(image))
    first.mkdir()
    ran("mount", "-o", "loop", str(image), str(first))
    try:
        place.mkdir(exist_ok=True)
        ran("cp", "-a", f"{place}/.", str(first))
        written = [(_written(first / old.path, old), old.days) for old in small.files]
    finally:
        ran("umount", str(first))
    # Its loop device is let go of a moment later; until then it would be used again, with what it remembers.
    eventually(lambda: not ran("losetup", "--associated", str(image)).strip(), within=20)
    (_aged if small.kind.startswith("ext") else _aged_xfs)(image, written)
    ran("mount", "-o", "loop", str(image), str(place))
    undo.callback(ran, "umount", "-l", str(place))


def _written(at: Path, old: Old) -> int:
    """Its inode."""
    at.parent.mkdir(parents=True, exist_ok=True)
    whole = old.fill * (64 * 1024 // len(old.fill) + 1)
    with at.open("wb") as file:
        for _ in range(int(old.megabytes * 16)):
            file.write(whole[: 64 * 1024])
    os.chown(at, old.owner, old.owner)
    return at.stat().st_ino


def _aged(image: Path, inodes: list[tuple[int, float]]) -> None:
    """No call sets a file's time of change; who writes into the file system that is not mounted can."""
    lines = []
    for inode, days in inodes:
        then = time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() - days * 86_400))
        lines += [f"set_inode_field <{inode}> {field}time {then}" for field in "acm"] if days else []
    commands = image.with_suffix(".times")
    commands.write_text("\n".join([*lines, ""]))
    ran("env", "TZ=UTC", "debugfs", "-w", "-f", str(commands), str(image))


def _aged_xfs(image: Path, inodes: list[tuple[int, float]]) -> None:
    """As far back as it goes: xfs_db writes a part of what it is told, which is old all the same."""
    for inode, days in inodes:
        then = int(time.time() - days * 86_400)
        writes = [word for field in "acm" for word in ("-c", f"write core.{field}time.sec {then}")]
        if days:
            ran("xfs_db", "-x", "-c", f"inode {inode}", *writes, str(image))


def ran(*argv: str) -> str:
    """What it printed; a command that fails fails the test."""
    told = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=600)
    assert told.returncode == 0, f"{' '.join(argv)}: {told.stderr}"
    return told.stdout
