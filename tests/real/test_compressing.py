"""What compresses logs as root ends by itself, leaves no halves, and touches text alone, by coreutils and by busybox."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from byteport.model.root_commands import change_files, list_files
from tests.scratch import ran
from tests.servers import eventually, program

MB, GB = 1024**2, 1024**3
Run = Callable[[tuple[str, ...], str], str]


@pytest.fixture(params=("coreutils", "busybox"))
def top(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What is / for whoever compresses."""
    if request.param == "coreutils":
        return Path("/")
    program("busybox", "busybox-static")
    for name in ("bin", "proc", "dev"):
        (tmp_path / name).mkdir()
    ran("cp", "/usr/bin/busybox", str(tmp_path / "bin/busybox"))
    ran("chroot", str(tmp_path), "/bin/busybox", "--install", "-s", "/bin")
    (tmp_path / "dev/null").touch()
    return tmp_path


@pytest.fixture
def run(top: Path) -> Iterator[Run]:
    if top != Path("/"):
        ran("mount", "-t", "proc", "proc", str(top / "proc"))

    def inside(words: tuple[str, ...], given: str) -> str:
        told = subprocess.run(
            ["chroot", str(top), *words], check=False, input=given, capture_output=True, text=True, timeout=60
        )
        assert told.returncode == 0, told.stderr
        return told.stdout

    yield inside
    if top != Path("/"):
        ran("umount", "-l", str(top / "proc"))


def given(top: Path, *files: Path) -> tuple[str, str]:
    """The folder as it is seen inside, and a list of the files in it, each a second old."""
    known = [file.stat() for file in files]
    eventually(lambda: time.time() > max(one.st_ctime for one in known) + 2, within=10)
    inside = [Path("/") / file.relative_to(top) for file in files]
    lines = [
        f"{one.st_dev}:{one.st_ino}:{one.st_size}:{int(one.st_mtime)}:{int(one.st_ctime)} {path}/\n"
        for one, path in zip(known, inside, strict=True)
    ]
    return str(inside[0].parent), "".join(lines)


def within_seconds(words: tuple[str, ...], seconds: int) -> tuple[str, ...]:
    """The same words with another patience, which looking for what is open takes its part of."""
    shell, option, script, *rest = words
    assert script.count("now+480") == 1
    return (shell, option, script.replace("now+480", f"now+{seconds}"), *rest)


def test_what_takes_too_long_is_ended_and_leaves_no_half(top, run, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    long, next_one = logs / "long.1", logs / "next.1"
    with long.open("wb") as file:
        file.truncate(4 * GB)
    next_one.write_bytes(b"a line\n" * 1000)
    root, listed = given(top, long, next_one)
    began = time.monotonic()
    told = run(within_seconds(change_files("apply", "aged", root, 0), 4), listed)
    assert [line.split()[0] for line in told.splitlines()] == ["failed", "late"]
    assert time.monotonic() - began < 15
    assert sorted(path.name for path in logs.iterdir()) == ["long.1", "next.1"]


def test_what_stands_there_already_under_that_name_is_left(top, run, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    log, before = logs / "shop.log.1", logs / "shop.log.1.gz"
    log.write_bytes(b"a line\n" * 1000)
    before.write_bytes(b"somebody's")
    root, listed = given(top, log)
    assert run(change_files("apply", "aged", root, 0), listed).split()[0] == "kept"
    assert (log.exists(), before.read_bytes()) == (True, b"somebody's")


def test_of_large_files_those_that_are_text_are_compressed(top, run, tmp_path):
    """A database's log of changes lies there too on some systems, and nobody could read it any more."""
    logs = tmp_path / "logs"
    logs.mkdir()
    text, binary, compressed = logs / "shop.log", logs / "mysql-bin.000007", logs / "old.log.xz"
    for file, first in ((text, b""), (binary, b"\xfebin\x00\x01\x00"), (compressed, b"")):
        with file.open("wb") as out:
            out.write(first)
            for _ in range(101):
                out.write((b"a line\n" * (MB // 7 + 1))[:MB])
    root, listed = given(top, text, binary, compressed)
    assert "old.log.xz" not in run(list_files("big", root, 0), "")
    told = run(change_files("apply", "big", root, 0), listed)
    assert [line.split()[0] for line in told.splitlines()] == ["done", "kept", "kept"]
    assert sorted(path.name for path in logs.iterdir()) == ["mysql-bin.000007", "old.log.xz", "shop.log.gz"]
