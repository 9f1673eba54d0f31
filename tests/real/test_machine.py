"""The tests' own host: nothing of it is left, however far it had come."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests import machine
from tests.machine import Machine


def traces(one: Machine) -> list[str]:
    """What is there of it: its links, its mounts, its processes."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    lines = [*links.splitlines(), *Path("/proc/mounts").read_text().splitlines(), *processes.splitlines()]
    found = [line for line in lines if one.bridge in line or str(one.root) in line or f"--machine={one.name}" in line]
    still = Path("/proc", str(one.leader), "root", "sbin").exists()
    return [*found, "its PID 1"] if still else found


def test_a_machine_is_a_machine_and_is_gone_afterwards() -> None:
    with machine.running() as one:
        assert len(traces(one)) >= 4
        assert one.as_root("cat", "/proc/1/comm").strip() == "systemd"
        assert one.as_root("hostname").strip() == one.name
        assert one.as_user("id", "-un").strip() == one.user
        with pytest.raises(subprocess.CalledProcessError):
            one.as_user("sudo", "-n", "true")
    assert traces(one) == []


def test_one_that_has_only_begun_to_boot_is_gone_too() -> None:
    known: list[Machine] = []
    with suppress(InterruptedError), machine.booting() as one:
        known.append(one)
        raise InterruptedError("the test ends at once")
    assert traces(known[0]) == []
