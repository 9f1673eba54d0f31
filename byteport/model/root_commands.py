"""What is run as root at a host, word by word: the sudoers file and whoever runs it say exactly the same.

The scripts stand in `as_root/`, for a POSIX shell and what coreutils and busybox have in common; sudoers has one line
for each, so that every line of theirs ends as a line may end there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Literal

SUDO = ("/usr/bin/sudo", "-n")
NAME = "byteport"  # what a script is told as its own name
MOST_FILES = 500
DOCKER = "/usr/bin/docker"
ANY_IMAGE = "sha256:{image}"  # in a sudoers file: any id of an image
JOURNAL_USAGE = ("/usr/bin/journalctl", "--disk-usage")
CONTAINER_USE = (DOCKER, "system", "df", "--verbose", "--format", "{{json .}}")

What = Literal["tmp", "rotated", "aged", "big"]


@cache
def script(name: str) -> str:
    """One of them, on one line."""
    told = (files("byteport.model") / "as_root" / f"{name}.sh").read_text("utf-8")
    lines = (line.strip() for line in told.splitlines())
    body = " ".join(line for line in lines if line and not line.startswith("#"))
    for part in ("open", "kept"):
        body = body.replace(f"@{part}", script(part) if f"@{part}" in body else "")
    return body.replace("@most", str(MOST_FILES))


def _run(name: str, *words: str) -> tuple[str, ...]:
    path = "export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin; "
    return ("/bin/sh", "-c", f"{path}{script(name)}", NAME, *words)


def list_files(what: What, root: str, minutes: int) -> tuple[str, ...]:
    """Finds candidates; changes nothing."""
    return _run("list", what, root, str(minutes))


def change_files(verb: Literal["apply", "check"], what: What, root: str, minutes: int) -> tuple[str, ...]:
    """Removes or compresses what is listed on its input, or only says what is still there."""
    return _run("change", verb, what, root, str(minutes))


def deleted_files() -> tuple[str, ...]:
    return _run("deleted")


def largest_folders() -> tuple[str, ...]:
    return _run("largest")


def rotate_logs(how: Literal["force", "due"]) -> tuple[str, ...]:
    return _run("rotate", how)


def grow_file_system(mount: str) -> tuple[str, ...]:
    return _run("grow", mount)


def vacuum_journal(limit: str) -> Iterator[tuple[str, ...]]:
    """Archived files alone are removed, so the current ones are archived first. `limit`: size=200M or time=7d."""
    yield "/usr/bin/journalctl", "--rotate"
    yield "/usr/bin/journalctl", f"--vacuum-{limit}"


def sweep_commands(what: What, root: str, minutes: int) -> Iterator[tuple[str, ...]]:
    """All three that concern one sweep."""
    yield list_files(what, root, minutes)
    yield change_files("apply", what, root, minutes)
    yield change_files("check", what, root, minutes)
