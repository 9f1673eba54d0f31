"""A server as a child process that never outlives us unasked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from signal import SIGKILL, Signals

from byteport.embedded.accounts import Account
from byteport.embedded.errors import NotStarted, log_tail

LAUNCH = Path(__file__).with_name("launch.py")
PLAIN_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Command:
    """What to run, as whom, and where its output goes."""

    argv: tuple[str, ...]
    cwd: Path
    log: Path
    account: Account | None = None
    dies_with_us: Signals | None = None  # the signal that the kernel sends it when we are gone
    environment: Mapping[str, str] = field(default_factory=lambda: PLAIN_ENVIRONMENT)
    keeps_open: tuple[int, ...] = ()  # file descriptors that it inherits

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it in a session of its own: a Ctrl-C at the terminal is ours to pass on, in our order."""
        account = self.account
        ids = (account.uid, account.gid) if account else (-1, -1)
        how = [str(number) for number in (os.getpid(), int(self.dies_with_us or 0), *ids)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCH), *how, *self.argv],
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self.keeps_open,
            )


@dataclass(frozen=True)
class Child:
    """A started command. The thread that started it waits for it: to the kernel, that thread is its parent."""

    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Its process id; the program's own, since the launcher turns into it."""
        return self.process.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def stop(self, steps: Sequence[tuple[Signals, float]]) -> int:
        """Send each signal in turn and wait so many seconds for the end; SIGKILL comes last. Returns its exit code."""
        for signal, patience in (*steps, (SIGKILL, 10.0)):
            if not self.is_alive():
                break
            self.process.send_signal(signal)
            if self._ended_within(patience):
                break
        return self.process.wait(timeout=10)

    def _ended_within(self, seconds: float) -> bool:
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def start_child(command: Command) -> Child:
    """Start the command; raises NotStarted when there is no such program.

    The kernel sends the death signal when the *thread* that forked ends, so a thread that lives exactly as
    long as the child does the forking.
    """
    answer: SimpleQueue[subprocess.Popen[bytes] | OSError] = SimpleQueue()

    def keep() -> None:
        try:
            process = command.spawn()
        except OSError as refusal:
            answer.put(refusal)
            return
        answer.put(process)
        process.wait()

    threading.Thread(target=keep, name=f"keeper of {Path(command.argv[0]).name}", daemon=True).start()
    started = answer.get()
    if isinstance(started, OSError):
        raise NotStarted(f"cannot run {command.argv[0]}: {started}") from started
    return Child(started)


def wait_until_ready(child: Child, ready: Callable[[], bool], name: str, log: Path, deadline: float) -> None:
    """Return when the child is ready; otherwise it is killed, and NotStarted quotes the end of its log."""
    try:
        while not ready():
            if not child.is_alive():
                raise NotStarted(f"{name} ended at its start; its log {log} says:\n{log_tail(log)}")
            if time.monotonic() > deadline:
                raise NotStarted(f"{name} is not ready in time; its log {log} says:\n{log_tail(log)}")
            time.sleep(0.02)
    except BaseException:
        child.stop(())
        raise
