"""What a host tells of its disks, read: figures that look like others, and names that somebody chose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from byteport.adapters.docker import used
from byteport.adapters.host_disks import HostDisks
from byteport.adapters.host_vitals import HostVitals
from byteport.adapters.hosts import Hosts
from byteport.model import root_commands
from byteport.runbooks.linux.reclaim_containers import removable, revisions
from byteport.settings.hosts import HostSection
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.machine import Machine
from tests.scratch import Scratch
from tests.servers import eventually

HOST = "web1"


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running({"/srv": Scratch("ext4", 16), "/opt": Scratch("ext4", 16)}) as one:
        commands = (root_commands.deleted_files(), root_commands.largest_folders())
        one.install_sudoers(sudoers("looks", one.user, commands))
        yield one


@pytest.fixture
def hosts(web) -> Iterator[Hosts]:
    section = HostSection(address=web.address, user=web.user, key_file=web.key, known_hosts=web.known_hosts)
    hosts = Hosts({HOST: section})
    yield hosts
    hosts.close()


def test_what_an_error_has_made_read_only_cannot_be_cleaned(hosts, web):
    """The mount is still one to write to; it is the file system that is not any more."""
    number = (web.root / "srv").stat().st_dev
    name = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
    disks = HostDisks(hosts)
    assert not disks.file_system(HOST, "/srv").read_only
    subprocess.run(["mount", "-o", "remount,errors=remount-ro", f"{web.root}/srv"], check=True)
    Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("a test")
    seen = eventually(lambda: (fs := disks.file_system(HOST, "/srv")).read_only and fs, within=10)
    assert "ro" not in _options_of(web, "/srv")
    assert seen.mount == "/srv"


def _options_of(web: Machine, mount: str) -> list[str]:
    lines = web.as_root("cat", "/proc/self/mountinfo").splitlines()
    return next(line.split()[5] for line in lines if line.split()[4] == mount).split(",")


def test_a_mount_s_name_ends_no_part_of_the_answer(hosts, web):
    """Whoever may mount something at a folder of their own chooses how it is called."""
    web.as_root("mkdir", "/home/===")
    web.as_root("mount", "-t", "tmpfs", "mine", "/home/===")
    web.as_root("mount", "--bind", "/opt", "/mnt")
    web.as_root("umount", "/opt")
    try:
        assert HostDisks(hosts).file_system(HOST, "/mnt").kind == "ext4"
        assert "/mnt" in {mount.mount for mount in HostVitals(hosts).vitals(HOST).mounts}
    finally:
        web.as_root("umount", "/home/===")
        web.as_root("mount", "--bind", "/mnt", "/opt")
        web.as_root("umount", "/mnt")


def test_deleted_files_of_other_file_systems_and_memory_are_told_apart(hosts, web):
    disks = HostDisks(hosts)
    here = disks.file_system(HOST, "/opt").number
    with holding_deleted(web, "/opt/gone"), holding_deleted(web, "/srv/../dev/shm/elsewhere"), memory(web):
        told = {file.path: file.device for file in disks.consumers(HOST).deleted}
    assert told["/opt/gone"] == here
    assert told["/dev/shm/elsewhere"] != here
    assert not [path for path in told if "memfd" in path]


@contextmanager
def holding_deleted(web: Machine, path: str) -> Iterator[None]:
    script = f"exec 9>{path}; echo some >&9; rm {path}; echo open; cat"
    with _running(["nsenter", "-t", str(web.leader), "-m", "-p", "--", "sh", "-c", script]):
        yield


@contextmanager
def memory(web: Machine) -> Iterator[None]:
    """A file that never had a name, nor a disk."""
    script = "import os; f = os.memfd_create('cache'); os.write(f, b'x' * 9000); print('open', flush=True); input()"
    inside = ["nsenter", "-t", str(web.leader), "-p", "--", sys.executable, "-c", script]
    with _running(inside):
        yield


@contextmanager
def _running(words: list[str]) -> Iterator[None]:
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield
        process.communicate(b"\n")


@pytest.mark.parametrize("sign", ["/var/lib/kubelet/pods", "/etc/rancher", "kubelet"])
def test_a_node_of_kubernetes_is_one_whoever_has_installed_it(hosts, web, sign):
    """Its images are its kubelet's, also where that runs in a container of docker's, or has no file of its own."""
    disks = HostDisks(hosts)
    assert not disks.file_system(HOST, "/").kubernetes
    if sign.startswith("/"):
        web.as_root("mkdir", "-p", sign)
        assert disks.file_system(HOST, "/").kubernetes
        web.as_root("rm", "-r", sign if sign.startswith("/etc") else "/var/lib/kubelet")
    else:
        web.as_root("cp", "/bin/sleep", f"/usr/local/bin/{sign}")
        web.as_root("systemd-run", "--quiet", "--unit=node", f"/usr/local/bin/{sign}", "60")
        eventually(lambda: disks.file_system(HOST, "/").kubernetes, within=10)
        web.as_root("systemctl", "stop", "node")


def test_the_date_of_an_image_is_read_with_its_zone():
    """docker writes the host's own time: 20:00 at -1000 is six hours later than 10:00 at +1000 of the next day."""
    rows = ",".join(
        f'{{"ID": "sha256:{n}", "Repository": "shop", "CreatedAt": "{created}"}}'
        for n, created in enumerate(
            (
                "2026-11-20 20:00:00 -1000 HST",
                "2026-11-21 10:00:00 +1000 AEST",
                "2026-11-21 00:00:00 +0000 UTC",
                "some day",
            )
        )
    )
    found = used(f'{{"Images": [{rows}]}}')
    assert [image.id[-1] for image in revisions(found, "shop")] == ["0", "1", "2", "3"]
    assert [image.id[-1] for image in removable(found, datetime(2026, 11, 24, 1, tzinfo=UTC))] == ["2"]
    assert removable(found, datetime(2026, 11, 23, 23, tzinfo=UTC)) == []
