"""A real sshd on loopback, with a host key and one user's key of its own, which a test may stop and start again."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from byteport.embedded import free_port
from tests.servers import eventually

SSHD = "/usr/sbin/sshd"
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
{certificates}
{home}
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
UseDNS no
LogLevel VERBOSE
MaxSessions {sessions}
MaxStartups 500
# Else bash reads the .bashrc of whoever runs the tests, which costs what stands in it, and is killed in the midst of it.
SetEnv SHLVL=1
Subsystem sftp internal-sftp
"""


@dataclass
class SshServer:
    folder: Path
    port: int
    sessions: int = 10
    authority: bool = False
    bare: bool = False  # a home with nothing in it, so that a session costs no more than what it is asked for
    process: subprocess.Popen[bytes] | None = None

    @property
    def user(self) -> str:
        return getpass.getuser()

    @property
    def key(self) -> Path:
        return self.folder / "user_key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def logins(self) -> int:
        """How many connections were let in."""
        return self.log.count("Accepted publickey")

    def prepare(self) -> None:
        for name in ("host_key", "user_key", "other_key"):
            keygen("-f", str(self.folder / name))
        shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")
        self.vouch("host_key")

    def vouch(self, name: str, *, hashed: bool = False) -> None:
        """Write this key into known_hosts as the server's."""
        kind, key, *_ = (self.folder / f"{name}.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")
        if hashed:
            keygen("-H", "-f", str(self.known_hosts), make=False)
            (self.folder / "known_hosts.old").unlink()

    def start(self) -> None:
        certificates = f"TrustedUserCAKeys {self.folder}/other_key.pub" if self.authority else ""
        home = f"SetEnv HOME={self.folder}" if self.bare else ""
        told = CONFIG.format(
            port=self.port, folder=self.folder, sessions=self.sessions, certificates=certificates, home=home
        )
        (self.folder / "config").write_text(told)
        Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            command = [SSHD, "-D", "-e", "-f", str(self.folder / "config")]
            self.process = subprocess.Popen(command, stderr=log, stdout=log, start_new_session=True)
        eventually(self.is_up)

    def is_up(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """The server and every connection of it."""
        if self.process is None:
            return
        self.hang_up()
        self.process.terminate()
        self.process.wait(10)
        self.process = None

    def hang_up(self) -> None:
        """End every connection, as a host that goes down would."""
        assert self.process is not None
        for child in children_of(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """Those that are there now; one that ends meanwhile has none."""
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, told) for found in (child, *children_of(child))]


def keygen(*words: str, make: bool = True) -> None:
    made = ["-q", "-t", "ed25519", "-N", ""] if make else ["-q"]
    subprocess.run(["ssh-keygen", *made, *words], check=True, capture_output=True)


@contextmanager
def running(folder: Path, **more: object) -> Iterator[SshServer]:
    server = SshServer(folder, free_port(), **more)  # type: ignore[arg-type]
    server.prepare()
    server.start()
    try:
        yield server
    finally:
        server.stop()
