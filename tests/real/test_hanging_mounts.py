"""A mount whose server has stopped answering keeps nobody but itself waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from byteport.adapters.host_disks import HostDisks
from byteport.adapters.host_vitals import HostVitals
from byteport.adapters.hosts import Hosts
from byteport.adapters.local_host import LocalTransport
from byteport.errors import Transient
from byteport.model.root_commands import largest_folders, list_files
from byteport.settings.hosts import HostSection
from tests.servers import eventually, program
from tests.ssh_server import running


@pytest.fixture(params=("as sshfs names it", "under a name without a host"))
def hanging(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An sshfs that is frozen; most others, as those for objects of a cloud, have no colon in their names."""
    folder, place = tmp_path / "server", tmp_path / "hangs"
    folder.mkdir()
    place.mkdir()
    with running(folder) as server:
        options = f"port={server.port},IdentityFile={server.key},UserKnownHostsFile={server.known_hosts},StrictHostKeyChecking=yes,attr_timeout=0"
        options += ",fsname=bucket" if request.param.startswith("under") else ""
        command = [program("sshfs", "sshfs"), "-f", "-o", options, f"{server.user}@127.0.0.1:{folder}", str(place)]
        with subprocess.Popen(command, start_new_session=True) as mounted:
            try:
                eventually(place.is_mount, within=20)
                os.kill(mounted.pid, signal.SIGSTOP)
                yield place
            finally:
                with suppress(ProcessLookupError):
                    os.kill(mounted.pid, signal.SIGKILL)
                subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def test_only_who_asks_for_that_very_mount_waits_and_not_for_long(hanging: Path) -> None:
    hosts = Hosts({"here": HostSection(transport="local")})
    disks, vitals = HostDisks(hosts), HostVitals(hosts)
    with ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        hung = pool.submit(disks.file_system, "here", str(hanging))
        assert vitals.vitals("here").mounts
        assert disks.file_system("here", "/").bytes_total > 0
        assert time.monotonic() - began < 5
        with pytest.raises(Transient):
            hung.result(timeout=20)
    assert time.monotonic() - began < 15


def test_where_somebody_has_a_file_open_there_nothing_is_listed_and_nothing_is_left_running(hanging: Path) -> None:
    """What is open cannot be told then; and whoever asked has gone before the file is let go of."""
    server, file = _server_of(hanging), hanging / "file"
    os.kill(server, signal.SIGCONT)
    file.write_bytes(b"x")
    words = ["/bin/sh", "-c", 'exec 9<"$0"; echo open; exec cat', str(file)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        os.kill(server, signal.SIGSTOP)
        try:
            began = time.monotonic()
            words = list_files("tmp", str(hanging.parent), 1)
            told = subprocess.run(words, check=False, capture_output=True, text=True, timeout=20)
            assert (told.returncode, told.stderr) == (4, "it cannot be told what is open\n")
            assert time.monotonic() - began < 15
        finally:
            os.kill(server, signal.SIGCONT)
            holder.communicate(timeout=10)


def test_a_walk_that_never_ends_is_left_out_and_the_rest_is_told(hanging: Path) -> None:
    """The mount lies below /tmp: its walk waits there, and the others are told."""
    told = LocalTransport().run(largest_folders(), within=timedelta(seconds=70))
    assert told.status == 0
    lines = told.stdout.splitlines()
    assert "0 /tmp (not measured in time)" in lines
    assert [line for line in lines if line.endswith("\t/var/cache") and int(line.split()[0]) > 0]


def _server_of(place: Path) -> int:
    """Whose first word is sshfs, and whose last is the place."""
    for at in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = at.read_bytes().rstrip(b"\0").split(b"\0")
            if words[0].endswith(b"sshfs") and words[-1] == str(place).encode():
                return int(at.parent.name)
    raise AssertionError(f"nobody serves {place}")
