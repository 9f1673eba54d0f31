"""A mount whose server has stopped answering keeps nobody but itself waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from byteport.adapters.host_disks import HostDisks
from byteport.adapters.host_vitals import HostVitals
from byteport.adapters.hosts import Hosts
from byteport.errors import Transient
from byteport.settings.hosts import HostSection
from tests.servers import eventually, program
from tests.ssh_server import running


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Path]:
    """An sshfs that is frozen."""
    folder, place = tmp_path / "server", tmp_path / "hangs"
    folder.mkdir()
    place.mkdir()
    with running(folder) as server:
        options = f"port={server.port},IdentityFile={server.key},UserKnownHostsFile={server.known_hosts},StrictHostKeyChecking=yes"
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
