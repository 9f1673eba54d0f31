"""Looking at a real host's disks and sweeping them: hostile names, links, races, and a sudo that lets little through."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from byteport.adapters.host_disks import HostDisks
from byteport.adapters.host_units import UserUnits
from byteport.adapters.hosts import Hosts
from byteport.errors import Denied, Permanent
from byteport.model import root_commands
from byteport.model.facts.disks import FoundFile
from byteport.model.units import minutes
from byteport.settings.hosts import HostSection
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.machine import Machine
from tests.scratch import Old, Scratch
from tests.servers import eventually

HOST, TMP, DAY = "web1", "/var/tmp", 24 * 60
NAMES = (
    "plain", "with blank ", " leading", "-rf", "$(touch pwned)", "`id`", "quote'\"", "semi;colon", "star*[a-z]?", "back\\slash\\n",
    "umlaut-ä", "deep/er/file",
)  # fmt: skip
UNSHOWN = ("line\nend", "tab\there", "bell\a")


def olds() -> tuple[Old, ...]:
    named = tuple(Old(f"tmp/swept/{name}", 0.1, days=9) for name in NAMES)
    return (
        *named,
        Old("tmp/open.bin", 1, days=9),
        Old("tmp/linked", 0.1, days=9),
        Old("tmp/young-by-access", 0.1, days=9),
    )


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    scratch = Scratch("ext4", 64, files=olds())
    with machine.running({"/var": scratch}, keeps_journal=False) as one:
        one.install_sudoers(sudoers("sweeps", one.user, commands()))
        yield one


def commands() -> Iterator[tuple[str, ...]]:
    yield from root_commands.sweep_commands("tmp", TMP, DAY)
    yield from root_commands.sweep_commands("aged", "/var/log", DAY)
    yield root_commands.deleted_files()


@pytest.fixture
def disks(web) -> Iterator[HostDisks]:
    section = HostSection(address=web.address, user=web.user, key_file=web.key, known_hosts=web.known_hosts)
    hosts = Hosts({HOST: section})
    yield HostDisks(hosts)
    hosts.close()


def at(web: Machine, path: str) -> Path:
    return web.root / path.lstrip("/")


def found(disks: HostDisks) -> dict[str, FoundFile]:
    return {file.path: file for file in disks.found(HOST, "tmp", TMP, DAY).files}


def test_a_mount_is_told_as_statvfs_has_it(disks, web):
    seen = disks.file_system(HOST, "/var")
    told = os.statvfs(at(web, "/var"))
    assert (seen.kind, seen.mount, seen.read_only) == ("ext4", "/var", False)
    assert seen.bytes_total == told.f_blocks * told.f_frsize
    assert (seen.inodes_total, seen.holds("/var/log"), seen.holds("/tmp")) == (told.f_files, True, False)
    with pytest.raises(Permanent, match="nothing is mounted at /var/tmp"):
        disks.file_system(HOST, "/var/tmp")


def test_what_is_found_can_be_named_and_nothing_else_is_found(disks, web):
    for name in UNSHOWN:
        at(web, f"{TMP}/{name}").write_bytes(b"x")
    at(web, f"{TMP}/young").write_bytes(b"x")
    assert {f"{TMP}/swept/{name}" for name in NAMES} <= set(found(disks))
    assert not {f"{TMP}/young", *(f"{TMP}/{name}" for name in UNSHOWN)} & set(found(disks))


def test_a_file_is_young_by_any_of_its_three_times(disks, web):
    """Written to long ago and read a moment ago, or given an old date by hand: neither is old."""
    file = at(web, f"{TMP}/young-by-access")
    changed = file.stat().st_mtime
    os.utime(file, (time.time(), changed))
    backdated = at(web, f"{TMP}/young-by-change")
    backdated.write_bytes(b"x")
    os.utime(backdated, (1, 1))
    assert not {f"{TMP}/young-by-access", f"{TMP}/young-by-change"} & set(found(disks))


def test_what_a_process_has_open_is_not_found_and_not_removed(disks, web):
    listed = found(disks)[f"{TMP}/open.bin"]
    with holding(web, f"{TMP}/open.bin"):
        assert f"{TMP}/open.bin" not in found(disks)
        told = disks.change(HOST, "tmp", TMP, DAY, [listed])
    assert (told.done, told.left) == ((), {"open": 1})
    assert at(web, f"{TMP}/open.bin").exists()


@contextmanager
def holding(web: Machine, path: str) -> Iterator[None]:
    """A process of the host has it open."""
    inside = ["nsenter", "-t", str(web.leader), "-m", "-p", "--", "sh", "-c", f"exec 9<{path}; echo open; cat"]
    with subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield
        process.communicate()


def test_a_second_name_for_a_file_keeps_it(disks, web):
    os.link(at(web, f"{TMP}/linked"), at(web, "/var/lib/second"))
    assert f"{TMP}/linked" not in found(disks)


def test_no_list_leads_anywhere_else(disks, web):
    """Whoever may run it as root is not trusted with what is on it."""
    secret = at(web, "/var/lib/secret")
    secret.write_bytes(b"x")
    at(web, f"{TMP}/bridge").symlink_to("/var/lib")
    at(web, f"{TMP}/straight").symlink_to("/var/lib/secret")
    known = secret.stat()
    name = f"{known.st_dev}:{known.st_ino}:{known.st_size}:{int(known.st_mtime)}:{int(known.st_ctime)}"
    ways = ["/var/lib/secret", f"{TMP}/../lib/secret", f"{TMP}/bridge/secret", f"{TMP}/straight", f"{TMP}//x", "secret"]
    told = disks.change(HOST, "tmp", TMP, DAY, [FoundFile(id=name, path=way, bytes=1) for way in ways])
    assert (told.done, set(told.left)) == ((), {"gone", "changed"})
    assert secret.exists()


def test_what_has_changed_since_it_was_found_is_left(disks, web):
    listed = found(disks)[f"{TMP}/swept/plain"]
    at(web, f"{TMP}/swept/plain").write_bytes(b"somebody needs it again")
    told = disks.change(HOST, "tmp", TMP, DAY, [listed])
    assert (told.done, told.left) == ((), {"changed": 1})


def test_they_are_removed_by_their_very_names_and_nothing_is_run(disks, web):
    files = [
        file for path, file in found(disks).items() if path.startswith(f"{TMP}/swept/") and not path.endswith("plain")
    ]
    assert disks.still_there(HOST, "tmp", TMP, DAY, files) == {file.path for file in files}
    told = disks.change(HOST, "tmp", TMP, DAY, files)
    assert set(told.done) == {file.path for file in files}
    assert told.bytes == sum(file.bytes for file in files)
    assert disks.still_there(HOST, "tmp", TMP, DAY, files) == set()
    assert not list((web.root / "var").rglob("pwned"))
    assert disks.change(HOST, "tmp", TMP, DAY, files).left == {"gone": len(files)}


def test_only_what_the_sudoers_file_names_is_done_as_root(disks):
    with pytest.raises(Denied, match="sudo does not let it through"):
        disks.found(HOST, "tmp", "/home", DAY)
    with pytest.raises(Denied, match="sudo does not let it through"):
        disks.found(HOST, "tmp", TMP, 1)


def test_a_log_is_not_removed_by_a_sweep_of_another_kind(disks, web):
    """The words for compressing logs compress rotated ones alone, whatever is on the list."""
    log = at(web, "/var/log/dpkg.log")
    known = log.stat()
    name = f"{known.st_dev}:{known.st_ino}:{known.st_size}:{int(known.st_mtime)}:{int(known.st_ctime)}"
    told = disks.change(HOST, "aged", "/var/log", DAY, [FoundFile(id=name, path="/var/log/dpkg.log", bytes=1)])
    assert (told.done, told.left) == ((), {"kept": 1})
    assert log.exists()


def test_a_vacuum_by_sudo_frees_what_the_journal_has_over_its_size(disks, web):
    """The journal of this host is in memory; the file that is written to is archived first, else it would stay."""
    units = UserUnits(disks.hosts)
    web.install_sudoers(sudoers("vacuum", web.user, root_commands.vacuum_journal("size=1M")))
    for _ in range(3):
        web.as_root(
            "sh", "-c", "head -c 3000000 /dev/urandom | base64 | systemd-cat; journalctl --sync; journalctl --rotate"
        )
    before = kilobytes(web)
    units.start_as_root(HOST, "byteport-vacuum", tuple(root_commands.vacuum_journal("size=1M")), minutes(1))
    assert eventually(
        lambda: (seen := units.unit(HOST, "byteport-vacuum")) and seen.is_over and seen, within=20
    ).went_well
    assert before > 10_000
    assert kilobytes(web) < before / 2


def kilobytes(web: Machine) -> int:
    return int(web.as_root("du", "-sk", "/run/log/journal").split()[0])
