"""One process of the fleet, kept running: restarted after it ends, later each time while it goes on ending."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGQUIT, SIGTERM, Signals
from time import monotonic

from byteport.embedded import folders
from byteport.embedded.children import Child, Command, start_child

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
STEADY_AFTER = 60.0  # having run so long, a process has proven itself, and its next end counts as a first one
WARMLY: tuple[tuple[Signals, float], ...] = ((SIGTERM, 40.0), (SIGQUIT, 5.0))  # a task may take its hard limit of 35 s
HASTILY: tuple[tuple[Signals, float], ...] = ((SIGQUIT, 3.0),)


@dataclass(frozen=True)
class Member:
    """What to run. Secrets travel in the environment: a command line is everybody's to read."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    cwd: Path


@dataclass
class Kept:
    """A member and its life. Every method returns at once but `stop`."""

    member: Member
    clock: Callable[[], float] = monotonic
    child: Child | None = None
    began_at: float = 0.0
    resume_at: float = 0.0
    ends_in_a_row: int = 0
    restarts: int = 0

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child is not None and self.child.is_alive() else None

    def start(self) -> None:
        """Start it; the kernel asks it to stop when this process is gone. Raises NotStarted: no such program."""
        member = self.member
        command = Command(
            argv=member.argv, cwd=member.cwd, log=folders.fresh_log(member.log), dies_with_us=SIGTERM,
            environment=member.environment,
        )  # fmt: skip
        self.child, self.began_at = start_child(command), self.clock()

    def tend(self) -> str:
        """Note an end, and start it again when its pause is over; what happened in words, or an empty text."""
        now = self.clock()
        if self.child is not None:
            return "" if self.child.is_alive() else self._ended(now, self.child)
        if now < self.resume_at:
            return ""
        self.start()
        self.restarts += 1
        return f"{self.member.name} started again"

    def _ended(self, now: float, child: Child) -> str:
        self.ends_in_a_row = 1 if now - self.began_at >= STEADY_AFTER else self.ends_in_a_row + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self.ends_in_a_row - 1))
        code, self.child, self.resume_at = child.process.returncode, None, now + pause
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        return f"{self.member.name} ended {how}; again in {pause:.0f} s (its log: {self.member.log})"

    def stop(self, steps: tuple[tuple[Signals, float], ...] = WARMLY) -> None:
        """End it for good; returns when it is gone."""
        child, self.child, self.resume_at = self.child, None, float("inf")
        if child is not None:
            child.stop(steps)
