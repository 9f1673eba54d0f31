"""What lies where a sweep looks and is not the sweep's: what is mounted there, what a disk image holds up, what the
host's own configuration leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from byteport.adapters.host_disks import HostDisks
from byteport.adapters.hosts import Hosts
from byteport.model import root_commands
from byteport.model.facts.disks import FoundFile
from byteport.settings.hosts import HostSection
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.machine import Machine
from tests.scratch import Old, Scratch

HOST, TMP, DAY = "web1", "/var/tmp", 24 * 60
DATA = ("lib/shop/orders", "lib/shop/deep/customers", "tmp/named/in/place")
KEPT = ("kept/cache", "kept-7/state", "with [x] blank/y", "app.pid")
FILES = (*DATA, *(f"tmp/{name}" for name in KEPT), "tmp/disk.img", "tmp/swept", "tmp/kep")
TMPFILES = """
# what another program needs for longer
x /var/tmp/kept
x /var/tmp/kept-[0-9]
X "/var/tmp/with [x] blank"
x+! /var/tmp/*.pid - - - 1d
d /var/tmp/swept
"""


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    scratch = Scratch("ext4", 64, files=tuple(Old(path, 0.1, days=9) for path in FILES))
    with machine.running({"/var": scratch}, keeps_journal=False) as one:
        one.install_sudoers(sudoers("sweeps", one.user, root_commands.sweep_commands("tmp", TMP, DAY)))
        yield one


@pytest.fixture
def disks(web) -> Iterator[HostDisks]:
    section = HostSection(address=web.address, user=web.user, key_file=web.key, known_hosts=web.known_hosts)
    hosts = Hosts({HOST: section})
    yield HostDisks(hosts)
    hosts.close()


def found(disks: HostDisks) -> dict[str, FoundFile]:
    return {file.path: file for file in disks.found(HOST, "tmp", TMP, DAY).files}


def named(at: Path, path: str) -> FoundFile:
    """As it would be on a list that somebody else has written."""
    known = at.stat()
    told = f"{known.st_dev}:{known.st_ino}:{known.st_size}:{int(known.st_mtime)}:{int(known.st_ctime)}"
    return FoundFile(id=told, path=path, bytes=1)


def test_what_is_mounted_there_is_not_swept_though_it_is_on_the_same_file_system(disks, web):
    """A folder that is mounted a second time has the device number of the first."""
    for place in ("jail/data", "jail/a b[c]"):
        web.as_root("mkdir", "-p", f"{TMP}/{place}")
        web.as_root("mount", "--bind", "/var/lib/shop", f"{TMP}/{place}")
    web.as_root("mount", "--bind", "/var/lib/shop/orders", f"{TMP}/named/in/place")
    seen = found(disks)
    assert f"{TMP}/swept" in seen
    assert not [path for path in seen if "/jail/" in path or "/named/" in path]
    orders, customers = (web.root / "var" / path for path in DATA[:2])
    listed = [
        named(orders, f"{TMP}/jail/data/orders"), named(customers, f"{TMP}/jail/data/deep/customers"),
        named(orders, f"{TMP}/jail/a b[c]/orders"), named(orders, f"{TMP}/named/in/place"),
    ]  # fmt: skip
    told = disks.change(HOST, "tmp", TMP, DAY, listed)
    assert (told.done, told.left) == ((), {"kept": 4})
    assert orders.exists()
    assert customers.exists()


def test_what_tmpfiles_d_leaves_out_is_left(disks, web):
    (web.root / "etc/tmpfiles.d/shop.conf").write_text(TMPFILES)
    seen = found(disks)
    assert {f"{TMP}/swept", f"{TMP}/kep"} <= set(seen)
    assert not {f"{TMP}/{name}" for name in KEPT} & set(seen)
    listed = [named(web.root / "var/tmp" / name, f"{TMP}/{name}") for name in KEPT]
    told = disks.change(HOST, "tmp", TMP, DAY, listed)
    assert (told.done, told.left) == ((), {"kept": len(KEPT)})


def test_an_image_that_a_device_stands_on_is_open_though_no_process_has_it(disks, web):
    listed = found(disks)[f"{TMP}/disk.img"]
    web.as_root("mknod", "/dev/loop77", "b", "7", "77")
    web.as_root("losetup", "/dev/loop77", f"{TMP}/disk.img")
    try:
        assert f"{TMP}/disk.img" not in found(disks)
        told = disks.change(HOST, "tmp", TMP, DAY, [listed])
    finally:
        web.as_root("losetup", "--detach", "/dev/loop77")
    assert (told.done, told.left) == ((), {"open": 1})
