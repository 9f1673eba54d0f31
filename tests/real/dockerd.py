"""A Docker daemon of the test's own: its own data, socket and network namespace, so that nothing of it stays here."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from time import monotonic

import pytest

from byteport.embedded.children import Child, Command, start_child, wait_until_ready
from tests.servers import eventually, program, roomy_folder

NEEDED = {"dockerd": "docker.io", "containerd": "containerd", "iptables": "iptables", "ip": "iproute2"}


@dataclass(frozen=True)
class Docker:
    """A running daemon. Containers' addresses and published ports are reached from its namespace only."""

    folder: Path
    namespace: str

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.folder),
            "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0",
        }  # fmt: skip

    def run(self, *argv: str | Path, within: float = 60, stdin: bytes = b"", **more: str) -> str:
        """Its client's answer; a failing command fails the test with what it said."""
        return told(["/usr/bin/docker", *map(str, argv)], self.environment | more, within, stdin)

    def load(self, name: str, tar: Path, *changes: str) -> None:
        """Make an image of a tar of its files."""
        self.run("import", *(f"--change={change}" for change in changes), tar, name, within=120)

    def inside(self, *argv: str, within: float = 30, stdin: bytes = b"") -> str:
        """A program of this machine, run in the daemon's network namespace."""
        entered = ["/usr/bin/nsenter", f"--net=/run/netns/{self.namespace}", *argv]
        return told(entered, self.environment, within, stdin)


def told(argv: Sequence[str], environment: Mapping[str, str], within: float, stdin: bytes = b"") -> str:
    """Standard output; AssertionError with everything it said when it fails or takes longer."""
    try:
        done = subprocess.run(argv, env=environment, input=stdin, capture_output=True, timeout=within, check=False)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{argv} took longer than {within} s: {late.stdout!r} {late.stderr!r}") from late
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{said[-6000:]}"
    return done.stdout.decode(errors="replace")


@contextmanager
def docker() -> Iterator[Docker]:
    """Start one; everything of it is gone afterwards. Fails the test where a component or root is missing."""
    for name, package in NEEDED.items():
        program(name, package)
    if os.geteuid() != 0:
        pytest.fail("a Docker daemon of the test's own needs root", pytrace=False)
    with ExitStack() as undo:
        folder = undo.enter_context(roomy_folder())
        undo.callback(_unmount, folder)
        ours = Docker(folder, f"bp{os.getpid()}")
        undo.callback(_forget_cgroups, ours.namespace)
        _ip("netns", "add", ours.namespace)
        undo.callback(_ip, "netns", "del", ours.namespace)
        _ip("-n", ours.namespace, "link", "set", "lo", "up")
        daemon = _start(ours)
        undo.callback(daemon.stop, ((SIGTERM, 60.0),))
        yield ours


def _start(ours: Docker) -> Child:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    config = {
        "data-root": f"{ours.folder}/data", "exec-root": f"{ours.folder}/exec", "pidfile": f"{ours.folder}/docker.pid",
        "hosts": [ours.host], "userland-proxy": False, "bip": "10.125.0.1/24",
        "cgroup-parent": f"/{ours.namespace}",
        "containerd-namespace": ours.namespace, "containerd-plugins-namespace": f"{ours.namespace}p",
        # The usual limits may lie above what this machine lets even root set.
        "default-ulimits": {"nofile": {"Name": "nofile", "Hard": files, "Soft": files}},
    }  # fmt: skip
    file, log = ours.folder / "daemon.json", ours.folder / "dockerd.log"
    file.write_text(json.dumps(config), encoding="ascii")
    argv = ("/usr/bin/nsenter", f"--net=/run/netns/{ours.namespace}", program("dockerd", "docker.io"))
    child = start_child(Command((*argv, "--config-file", str(file)), ours.folder, log, dies_with_us=SIGTERM))
    socket = ours.folder / "docker.sock"
    wait_until_ready(child, lambda: socket.exists() and _answers(ours), "dockerd", log, monotonic() + 60)
    return child


def _answers(ours: Docker) -> bool:
    asked = subprocess.run(["/usr/bin/docker", "info"], env=ours.environment, capture_output=True, check=False)
    return asked.returncode == 0


def _ip(*arguments: str) -> None:
    told([program("ip", "iproute2"), *arguments], {"PATH": "/usr/sbin:/usr/bin"}, 20)


def _unmount(folder: Path) -> None:
    """What a daemon that was killed leaves mounted, the innermost first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    for mount in sorted((m for m in mounts if Path(m).is_relative_to(folder)), reverse=True):
        subprocess.run(["/usr/bin/umount", "-l", mount], check=False, capture_output=True)


def _forget_cgroups(name: str) -> None:
    """The daemon leaves the parents of its containers' groups behind, empty, with every controller."""
    groups = Path("/sys/fs/cgroup")

    def gone() -> bool:
        for left in (groups / name, *groups.glob(f"*/{name}")):
            for group in sorted((path for path in left.rglob("*") if path.is_dir()), reverse=True):
                group.rmdir()
            if left.is_dir():
                left.rmdir()
        return True

    eventually(gone, within=10, every=0.2)
