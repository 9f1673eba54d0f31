"""A real host: systemd as PID 1 with its own sshd, an ordinary user who lingers, and nothing of this machine in it.

Inside, MemoryMax= and CPUQuota= have no effect (the controllers cannot be written there), and load, clock and dmesg are
the shared kernel's. The tree it stands on is made once, by tests/make-host-tree.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.scratch import Scratch, mounted, ran
from tests.servers import alive, eventually

USER = "byteport"
NETWORK = """
[Unit]
Before=ssh.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/ip addr add {address}/24 dev host0
ExecStart=/bin/ip link set host0 up
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Machine:
    name: str
    address: str
    root: Path
    key: Path
    known_hosts: Path
    leader: int
    bridge: str
    user: str = USER
    port: int = 22

    def as_root(self, *argv: str) -> str:
        """A command inside, without SSH; its output."""
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "--", *argv]
        return subprocess.run(inside, check=True, capture_output=True, text=True, timeout=60).stdout

    def as_user(self, *argv: str) -> str:
        """As the ordinary user, with its own service manager at hand."""
        told = self.tried(*argv)
        told.check_returncode()
        return told.stdout

    def tried(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """The same, whatever becomes of it."""
        uid = self.as_root("id", "-u", self.user).strip()
        at = f"XDG_RUNTIME_DIR=/run/user/{uid}"
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "--"]
        words = [*inside, "runuser", "-u", self.user, "--", "env", at, *argv]
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)

    def install_sudoers(self, lines: Iterable[str]) -> None:
        """As an administrator does: checked first, then the only file there is."""
        file = self.root / "etc/sudoers.d/byteport"
        file.write_text("\n".join([*lines, ""]))
        file.chmod(0o440)
        self.as_root("visudo", "-c", "-f", "/etc/sudoers.d/byteport")

    def state(self) -> str:
        """What of it runs, and what does not: for whoever waits in vain."""
        asked = (
            ("systemctl", "list-jobs"), ("systemctl", "--failed"),
            ("systemctl", "status", "--no-pager", f"user@{self.as_root('id', '-u', self.user).strip()}", "ssh", "testnet"),
            ("journalctl", "--no-pager", "--lines=60"), ("df", "-h"), ("df", "-i"),
        )  # fmt: skip
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "--"]
        told = [
            subprocess.run([*inside, *argv], check=False, capture_output=True, text=True, timeout=60) for argv in asked
        ]
        return "\n".join(one.stdout + one.stderr for one in told)

    def is_up(self) -> bool:
        """The user's service manager answers."""
        with suppress(subprocess.CalledProcessError):
            return "Version=" in self.as_user("systemctl", "--user", "show", "--property=Version")
        return False


@contextmanager
def running(scratch: Mapping[str, Scratch] | None = None, *, keeps_journal: bool = True) -> Iterator[Machine]:
    """Booted, and gone without a trace afterwards. What stood in a scratch folder stands there still."""
    with booting(scratch, keeps_journal=keeps_journal) as machine:
        try:
            eventually(machine.is_up, within=60)
            eventually(lambda: _answers(machine.address), within=60)
        except AssertionError as never:
            raise AssertionError(f"{machine.name} did not come up: {machine.state()}") from never
        yield machine


@contextmanager
def booting(scratch: Mapping[str, Scratch] | None = None, *, keeps_journal: bool = True) -> Iterator[Machine]:
    """As soon as it has a PID 1."""
    with ExitStack() as undo:
        folder = Path(tempfile.mkdtemp(prefix="byteport-host-", dir="/tmp"))
        undo.callback(shutil.rmtree, folder)
        name = f"web{secrets.token_hex(3)}"
        bridge, net = _bridge(undo)
        root = folder / "root"
        _tree(undo, root)
        address = f"{net}.11"
        _furnish(folder, root, name, address)
        if not keeps_journal:
            (root / "etc/systemd/journald.conf.d").mkdir(exist_ok=True)
            (root / "etc/systemd/journald.conf.d/memory.conf").write_text("[Journal]\nStorage=volatile\n")
        for place, small in (scratch or {}).items():
            mounted(undo, folder, root / place.lstrip("/"), small)
        leader = _boot(undo, folder, root, name, bridge)
        yield Machine(name, address, root, folder / "user_key", folder / "known_hosts", leader, bridge)


def _bridge(undo: ExitStack) -> tuple[str, str]:
    """One with a network that nobody here has, until the end."""
    taken = ran("ip", "-4", "addr")
    net = next(
        n for n in iter(lambda: f"10.{100 + secrets.randbelow(100)}.{secrets.randbelow(256)}", "") if n not in taken
    )
    bridge = f"bpt{secrets.token_hex(4)}"
    ran("ip", "link", "add", bridge, "type", "bridge")
    undo.callback(ran, "ip", "link", "del", bridge)
    ran("ip", "addr", "add", f"{net}.1/24", "dev", bridge)
    ran("ip", "link", "set", bridge, "up")
    return bridge, net


def _tree(undo: ExitStack, root: Path) -> None:
    packed = ran(str(Path(__file__).parent / "make-host-tree")).strip()
    root.mkdir()
    ran("mount", "-t", "tmpfs", "-o", "size=1500m", "tmpfs", str(root))
    undo.callback(ran, "umount", "-l", str(root))
    ran("tar", "--zstd", "-xf", packed, "-C", str(root))


def _furnish(folder: Path, root: Path, name: str, address: str) -> None:
    """A name, a host key that is known, the user's key, an address."""
    for key in (folder / "user_key", root / "etc/ssh/ssh_host_ed25519_key"):
        ran("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost {name}\n")
    ssh = root / "home" / USER / ".ssh"
    ssh.mkdir(mode=0o700)
    shutil.copy(folder / "user_key.pub", ssh / "authorized_keys")
    ran("chroot", str(root), "chown", "-R", f"{USER}:{USER}", f"/home/{USER}/.ssh")
    kind, key_text, *_ = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"{address} {kind} {key_text}\n")
    (root / "etc/systemd/system/testnet.service").write_text(NETWORK.format(address=address))
    ran("systemctl", f"--root={root}", "enable", "testnet.service", "ssh.service")


def _boot(undo: ExitStack, folder: Path, root: Path, name: str, bridge: str) -> int:
    """The PID of its systemd, seen from here. --register=no, --keep-unit: nothing of systemd runs outside."""
    own = [str(group / "cgroup.procs") for group in _own_groups(undo, name)]
    enter = 'for at in $OWN; do echo $$ >"$at"; done; exec "$@"'
    with (folder / "log").open("wb") as log:
        nspawn = subprocess.Popen(
            ["/bin/sh", "-c", enter, "sh", "systemd-nspawn", "-b", "-q", "-D", str(root), "--register=no", "--keep-unit", f"--network-bridge={bridge}",
             f"--machine={name}", "--console=pipe"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "SYSTEMD_NSPAWN_TMPFS_TMP": "0", "OWN": " ".join(own)},  # else /tmp would be nobody's disk
        )  # fmt: skip
    undo.callback(_power_off, nspawn)
    return eventually(lambda: _child_of(nspawn.pid), within=20)


def _own_groups(undo: ExitStack, name: str) -> list[Path]:
    """Control groups of its own: machines that stand in one would share those of their services, and the first that is
    powered off would take them from the others."""
    top = Path("/sys/fs/cgroup")
    parents = [at for at in (top / "systemd", top / "unified") if (at / "cgroup.procs").exists()]
    made = [at / f"byteport-{name}" for at in parents or [top]]
    for group in made:
        group.mkdir()
        undo.callback(_forgotten, group)
    return made


def _forgotten(group: Path) -> None:
    """With all that was made below it; the last process of it has gone a moment ago."""

    def gone() -> bool:
        for below in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            below.rmdir()
        group.rmdir()
        return True

    eventually(lambda: _tried(gone), within=10)


def _tried(call: Callable[[], bool]) -> bool:
    try:
        return call()
    except OSError:
        return False


def _child_of(pid: int) -> int:
    """The PID 1 inside; nspawn's first child only prepares it, and is gone a moment later."""
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            told = Path(f"/proc/{child}/status").read_text()
            if any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in told.splitlines()):
                return int(child)
    return 0


def _power_off(nspawn: subprocess.Popen[bytes]) -> None:
    """Asked first; one that does not go (it had only begun to boot) is ended with everything in it, by its PID 1."""
    leader = _child_of(nspawn.pid)
    try:
        with suppress(ProcessLookupError):
            if leader:
                os.kill(leader, signal.SIGRTMIN + 4)
        nspawn.wait(8)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            if leader:
                os.kill(leader, signal.SIGKILL)
        nspawn.kill()
        nspawn.wait(10)
    eventually(lambda: not (leader and alive(leader)), within=10)


def _answers(address: str) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1)
        return asking.connect_ex((address, 22)) == 0
