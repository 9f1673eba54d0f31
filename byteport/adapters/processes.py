"""Processes of this machine: a name for this one, and whether one of a name is dead.

A name is the machine's boot, its namespace of process ids, the id, and when it began: none of another machine, of
another container, or of another life of the same id is ever taken for it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

GONE = ("Z", "X", "x")  # states of proc(5) in which nothing runs any more


def this_machine() -> str:
    """What every name begins with of which this process can tell; empty where the machine does not say, or /proc shows
    another namespace than this process lives in."""
    try:
        if str(Path("/proc/self").readlink()) != str(os.getpid()):
            return ""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}/"
    except OSError:
        return ""


def this_process() -> str:
    """Empty where the machine does not say: nobody then takes it for dead."""
    return _name_of(os.getpid())


@lru_cache(maxsize=1)
def _name_of(pid: int) -> str:
    """A forked child has another id, and is asked anew."""
    machine, (state, began) = this_machine(), _life_of(pid)
    return f"{machine}{pid}/{began}" if machine and state else ""


def is_dead(name: str) -> bool:
    """Whether a process that was named so is gone for certain; of those of other machines nothing is certain."""
    machine = this_machine()
    if not machine or not name.startswith(machine):
        return False
    pid, _, began = name.removeprefix(machine).partition("/")
    if not (pid.isdigit() and began.isdigit()):
        return False
    state, life = _life_of(int(pid))
    return (state in GONE or life != began) if state else _is_nobody(int(pid))


def _is_nobody(pid: int) -> bool:
    """What /proc does not show may only be hidden (hidepid, ProtectProc): the kernel is asked."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _life_of(pid: int) -> tuple[str, str]:
    """State, and start in ticks since the boot; both empty where it cannot be looked at."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    fields = told.rpartition(")")[2].split()
    return fields[0], fields[19]
