"""One real host for a module's tests: its transport, its services, who may do what there."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from byteport.adapters.hosts import Hosts
from byteport.settings.hosts import HostSection
from tests.machine import Machine
from tests.servers import eventually
from tests.ssh_server import children_of

HOST = "web1"


def way_to(machine: Machine, group: str = "web") -> Hosts:
    """As the configuration would have it."""
    section = HostSection(
        address=machine.address, user=machine.user, key_file=machine.key, known_hosts=machine.known_hosts, group=group
    )
    return Hosts({HOST: section})


def service(machine: Machine, name: str, does: str, *, label: str = "", more: Iterable[str] = ()) -> None:
    """A service of the system that runs `does` in a shell, started; `label` is what a drop-in of root's says."""
    units = machine.root / "etc/systemd/system"
    script = machine.root / "usr/local/bin" / f"{name}.sh"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    lines = ["[Service]", f"ExecStart=/usr/local/bin/{name}.sh", "TimeoutStopSec=5", *more]
    (units / f"{name}.service").write_text("\n".join([*lines, ""]))
    if label:
        opt_in(machine, f"{name}.service", label)
    machine.as_root("systemctl", "daemon-reload")
    machine.as_root("systemctl", "start", "--no-block", f"{name}.service")


def opt_in(machine: Machine, unit: str, label: str = "safe") -> None:
    folder = machine.root / "etc/systemd/system" / f"{unit}.d"
    folder.mkdir(exist_ok=True)
    (folder / "byteport.conf").write_text(f"[Unit]\nX-Byteport-Restart={label}\n")


def shown(machine: Machine, unit: str, name: str) -> str:
    """One property, as root sees it."""
    return machine.as_root("systemctl", "show", f"--property={name}", "--value", unit).strip()


@contextmanager
def cut_off_once(machine: Machine, now: Path) -> Iterator[list[bool]]:
    """Every connection of the user's is dropped as soon as `now` is there; what is yielded says whether it was."""
    cut: list[bool] = []

    def cuts() -> None:
        eventually(now.exists, within=40)
        hang_up(machine)
        cut.append(True)

    cutter = threading.Thread(target=cuts)
    cutter.start()
    yield cut
    cutter.join(60)


def hang_up(machine: Machine) -> None:
    """Every connection's own sshd is gone; what it ran runs on."""
    for pid in children_of(machine.leader):
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_text().startswith(f"sshd: {machine.user}"):
                os.kill(pid, signal.SIGKILL)
