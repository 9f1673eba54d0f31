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
    """What every name begins with of which this process can tell; empty where the machine does not say."""
    try:
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
    if not (pid.isdigit() and began.isdigit()) or not Path("/proc/self").is_dir():
        return False
    state, life = _life_of(int(pid))
    return state in GONE or life != began


def _life_of(pid: int) -> tuple[str, str]:
    """State, and start in ticks since the boot; both empty where there is no such process."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    fields = told.rpartition(")")[2].split()
    return fields[0], fields[19]
