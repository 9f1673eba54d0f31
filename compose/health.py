"""Whether the process in this container is well: exit code 0 or 1, for the health checks of compose.yaml.

`worker ROLE`: its consumer answers over the broker. `clock`: it goes on ticking. `http URL`: it answers with 200.
"""

from __future__ import annotations

import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

SECONDS = 4.0


def worker(role: str) -> bool:
    """Asked by its own name, so that the answer of another container does not count."""
    from workers.app import app

    name = f"{role}@{socket.gethostname()}"
    return name in (app.control.inspect(destination=[name], timeout=SECONDS).ping() or {})


def clock() -> bool:
    """It wakes every second, so it must have slept and woken between two looks at it."""
    children = Path("/proc/1/task/1/children").read_text(encoding="ascii").split()
    status = Path("/proc", children[0] if children else "1", "status")
    before = _sleeps(status)
    time.sleep(SECONDS)
    return _sleeps(status) > before


def _sleeps(status: Path) -> int:
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def http(url: str) -> bool:
    """Raises OSError where nobody answers."""
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310  (compose.yaml names the address)
        return bool(answer.status == 200)


CHECKS: dict[str, Callable[..., bool]] = {"worker": worker, "clock": clock, "http": http}

if __name__ == "__main__":
    sys.exit(0 if CHECKS[sys.argv[1]](*sys.argv[2:]) else 1)
