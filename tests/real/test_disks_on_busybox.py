"""The scripts about files, as they run where busybox is all there is: in a root of their own, by its own shell."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from byteport.adapters.host_disks import LOOK, changed, found_files, parsed
from byteport.model.facts.disks import FoundFile, FoundFiles
from byteport.model.root_commands import change_files, deleted_files, largest_folders, list_files
from tests.scratch import Old, Scratch, mounted, ran
from tests.servers import program

DAY = 24 * 60
FILES = (Old("tmp/plain", 0.2, days=9), Old("tmp/with blank ", 0.1, days=9), Old("tmp/open", 0.1, days=9),
         Old("log/shop.log.1", 1, days=9, fill=b"a line\n"), Old("log/shop.log.2.gz", 0.1, days=9))  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of its own at /var, /proc, and nothing but busybox."""
    program("busybox", "busybox-static")
    folder = tmp_path_factory.mktemp("alpine")
    top = folder / "root"
    for name in ("bin", "usr/bin", "usr/sbin", "sbin", "proc", "var/tmp", "var/log", "var/cache", "tmp", "dev", "etc"):
        (top / name).mkdir(parents=True)
    ran("cp", "/usr/bin/busybox", str(top / "bin/busybox"))
    ran("chroot", str(top), "/bin/busybox", "--install", "-s", "/bin")
    with ExitStack() as undo:
        mounted(undo, folder, top / "var", Scratch("ext4", 32, files=FILES))
        ran("mount", "-t", "proc", "proc", str(top / "proc"))
        undo.callback(ran, "umount", "-l", str(top / "proc"))
        (top / "dev/null").touch()
        yield top


def run(root: Path, argv: Sequence[str], stdin: str = "") -> str:
    told = subprocess.run(
        ["chroot", str(root), *argv], check=False, input=stdin, capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def listed(root: Path, what: str, at: str) -> FoundFiles:
    return found_files(run(root, list_files(what, at, DAY)))  # type: ignore[arg-type]


def apply(root: Path, what: str, at: str, files: Sequence[FoundFile]) -> dict[str, int]:
    told = changed(run(root, change_files("apply", what, at, DAY), "".join(f"{one.line}\n" for one in files)))  # type: ignore[arg-type]
    return {**told.left, "done": len(told.done)}


def test_it_is_busybox_that_runs_them(root):
    assert "BusyBox" in run(root, ("/bin/sh", "-c", "stat --help 2>&1; find --help 2>&1; exit 0"))


def test_a_mount_is_looked_at(root):
    seen = parsed("alpine", "/var", run(root, ("/bin/sh", "-c", LOOK, "/var", "-", "/var/log", "/tmp")))
    told = os.statvfs(root / "var")
    assert (seen.bytes_total, seen.inodes_total, seen.holds("/var/log")) == (
        told.f_blocks * told.f_frsize,
        told.f_files,
        True,
    )


def test_old_files_are_found_and_what_is_open_is_not(root):
    with (root / "var/tmp/open").open("rb"):
        found = listed(root, "tmp", "/var/tmp")
    assert {one.path for one in found.files} == {"/var/tmp/plain", "/var/tmp/with blank "}


def test_what_has_changed_stays_and_the_rest_goes(root):
    files = [one for one in listed(root, "tmp", "/var/tmp").files if one.path != "/var/tmp/open"]
    (root / "var/tmp/plain").write_bytes(b"needed again")
    os.utime(root / "var/tmp/plain", (time.time() - 9 * 86_400,) * 2)
    assert apply(root, "tmp", "/var/tmp", files) == {"changed": 1, "done": 1}
    assert not (root / "var/tmp/with blank ").exists()


def test_old_logs_are_compressed_and_compressed_ones_removed(root):
    aged, rotated = listed(root, "aged", "/var/log").files, listed(root, "rotated", "/var/log").files
    assert [one.path for one in aged] == ["/var/log/shop.log.1"]
    assert apply(root, "aged", "/var/log", aged) == {"done": 1}
    assert apply(root, "rotated", "/var/log", rotated) == {"done": 1}
    assert sorted(path.name for path in (root / "var/log").iterdir() if path.is_file()) == ["shop.log.1.gz"]


def test_its_gzip_touches_nothing_in_a_folder_of_somebody_else_s(root):
    """It would follow a link that replaces the file meanwhile."""
    log = root / "var/log/shop"
    log.mkdir(exist_ok=True)
    os.chown(log, 1000, 1000)
    file = log / "app.log.1"
    file.write_bytes(b"x" * 1000)
    known = file.stat()
    name = f"{known.st_dev}:{known.st_ino}:{known.st_size}:{int(known.st_mtime)}:{int(known.st_ctime)}"
    told = run(root, change_files("apply", "aged", "/var/log", 0), f"{name} /var/log/shop/app.log.1/\n")
    assert told.split()[0] in ("unsafe", "young")
    assert file.exists()


def test_what_is_large_and_what_is_deleted_is_told(root):
    assert "/var/log" in run(root, largest_folders())
    gone = root / "var/tmp/gone"
    gone.write_bytes(b"x" * 50_000)
    with gone.open("rb"):
        gone.unlink()
        assert "/var/tmp/gone (deleted)" in run(root, deleted_files())
