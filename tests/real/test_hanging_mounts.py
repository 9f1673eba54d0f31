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

LONGEST = timedelta(seconds=70)


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Path]:
    """An sshfs that is frozen, and somebody who stands in it."""
    folder, place = tmp_path / "server", tmp_path / "hangs"
    folder.mkdir()
    place.mkdir()
    with running(folder) as server:
        options = f"port={server.port},IdentityFile={server.key},attr_timeout=0,entry_timeout=0,cache=no,UserKnownHostsFile={server.known_hosts},StrictHostKeyChecking=yes"
        command = [program("sshfs", "sshfs"), "-f", "-o", options, f"{server.user}@127.0.0.1:{folder}", str(place)]
        with subprocess.Popen(command, start_new_session=True) as mounted:
            try:
                eventually(place.is_mount, within=20)
                with subprocess.Popen(["sleep", "600"], cwd=place) as stands:
                    os.kill(mounted.pid, signal.SIGSTOP)
                    yield place
                    stands.kill()
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


def test_who_stands_in_it_keeps_nobody_waiting_and_then_nothing_is_removed(tmp_path: Path, hanging: Path) -> None:
    """Whoever has a file open there cannot be asked which: so nothing at all is known to be free."""
    (tmp_path / "old").write_text("x")
    began = time.monotonic()
    told = LocalTransport().run(list_files("tmp", str(tmp_path), 1), within=LONGEST)
    assert (told.status, told.stderr.splitlines()[-1]) == (4, "it cannot be told what is open")
    assert time.monotonic() - began < 20


def test_a_walk_that_never_ends_is_left_out_and_the_rest_is_told(hanging: Path) -> None:
    """The mount lies below /tmp: its walk waits there, and the others are told."""
    told = LocalTransport().run(largest_folders(), within=LONGEST)
    assert told.status == 0
    lines = told.stdout.splitlines()
    assert "0 /tmp (not measured in time)" in lines
    assert [line for line in lines if line.endswith("\t/var/cache") and int(line.split()[0]) > 0]
