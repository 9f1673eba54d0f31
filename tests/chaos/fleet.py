"""The fleet as real processes, each kept running by a supervisor; and the hand that kills and freezes them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import psutil

from byteport.embedded import folders
from byteport.embedded.children import Command, start_child
from byteport.embedded.supervision import HASTILY, Kept, Member
from tests.chaos.dice import MEMBERS

RESTART_PAUSE = 1.0  # as a supervisor has it that does not count ends


class Watched(Kept):
    """A member that the kernel ends with us even while it is frozen, and whose restarts never slow down."""

    def start(self) -> None:
        member = self.member
        log = folders.fresh_log(member.log)
        command = Command(member.argv, member.cwd, log, None, signal.SIGKILL, member.environment)
        self.child, self.began_at = start_child(command), self.clock()

    def tend(self) -> str:
        self.ends_in_a_row = 0
        return super().tend()


@dataclass
class Fleet:
    """`frozen` has the processes that stand still, with the time (monotonic) when they may go on."""

    folder: Path
    environment: Mapping[str, str]
    members: dict[str, Watched] = field(default_factory=dict)
    frozen: dict[int, float] = field(default_factory=dict)

    def start(self) -> None:
        for name in MEMBERS:
            role = name.partition("-")[0]
            module = ("byteport.web",) if role == "web" else ("workers", role)
            more = () if role in ("web", "beat") else (f"--hostname={name}@%h",)
            argv = (sys.executable, "-P", "-m", *module, *more)
            kept = Watched(Member(name, argv, self.environment, self.folder / f"{name}.log", self.folder))
            self.members[name] = kept
            kept.start()

    def tend(self) -> None:
        """Restart what has ended; let go on what has stood still long enough."""
        for kept in self.members.values():
            kept.tend()
        for pid, until in list(self.frozen.items()):
            if monotonic() >= until:
                self._thaw(pid)

    def named(self, role: str, which: int) -> str | None:
        """A living member of the role that does not stand still, or None."""
        found = [n for n in MEMBERS if n.startswith(role) and (pid := self.members[n].pid) and pid not in self.frozen]
        return found[which % len(found)] if found else None

    def children(self, member: str | None = None) -> list[int]:
        """The acting children that do not stand still, of one member or of all."""
        pids = [self.members[name].pid for name in MEMBERS if name.startswith("act") and member in (None, name)]
        found: list[int] = []
        for pid in pids:
            with suppress(psutil.Error):
                found += [child.pid for child in psutil.Process(pid).children()] if pid else []
        return sorted(pid for pid in found if pid not in self.frozen)

    def kill(self, pid: int) -> bool:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.frozen.pop(pid, None)
        return True

    def freeze(self, what: str, which: int, seconds: float) -> bool:
        """A member with its children, or one acting child. One of a role at a time, and two at most."""
        pids = self._to_freeze(what, which)
        if not pids or len(self.frozen) > 3:
            return False
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self.frozen[pid] = monotonic() + seconds
        return True

    def _to_freeze(self, what: str, which: int) -> list[int]:
        role = what.partition("-")[0].partition(" ")[0]
        standing = [n for n in MEMBERS if n.startswith(role) and self.members[n].pid in self.frozen]
        if standing:
            return []
        if what == "act child":
            children = self.children()
            return [children[which % len(children)]] if children else []
        pid = self.members[what].pid
        return [pid, *(self.children(what) if role == "act" else [])] if pid else []

    def _thaw(self, pid: int) -> None:
        self.frozen.pop(pid, None)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def thaw_all(self) -> None:
        for pid in list(self.frozen):
            self._thaw(pid)

    def stop(self) -> None:
        """End everything; returns when it is gone."""
        self.thaw_all()
        with ThreadPoolExecutor(max_workers=len(MEMBERS)) as pool:
            list(pool.map(lambda kept: kept.stop(HASTILY), self.members.values()))
