"""`python -m tests.bench.vitals`: what it costs one process to look at the vitals of 200 hosts each 30 s.

Each host is a login of its own at a real sshd on loopback, whose own CPU is the hosts' and is told apart. The first round
makes the connections; the others run on them, as they do for as long as the fleet lives.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from byteport.adapters.host_vitals import HostVitals
from byteport.adapters.hosts import Hosts
from byteport.settings.hosts import HostSection
from byteport.sources.vitals import VitalRules, VitalsPoller
from tests.ssh_server import running

PERIOD = timedelta(seconds=30)
GOAL = 0.5


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(count: int, rounds: int) -> dict[str, object]:
    """CPU seconds of this process a round, and how long a round took."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        one = HostSection(
            address="127.0.0.1", port=server.port, user=server.user, key_file=server.key,
            known_hosts=server.known_hosts, connect_timeout=20,
        )  # fmt: skip
        hosts = Hosts({f"web{n}": one for n in range(count)})
        poller = VitalsPoller(
            HostVitals(hosts, timedelta(seconds=20)), list(hosts.sections), VitalRules(), PERIOD, PERIOD
        )
        memory: dict[str, Any] = {}
        connecting = _round(poller, memory)
        spent = [_round(poller, memory) for _ in range(rounds)]
        logins = server.logins()
        hosts.close()
    cores = median(seconds for seconds, _ in spent) / PERIOD.total_seconds()
    return {
        "what": f"vitals of {count} hosts each {PERIOD.seconds} s, one process", "cores": round(cores, 3),
        "cpu_seconds": [round(seconds, 2) for seconds, _ in spent], "took": [round(took, 2) for _, took in spent],
        "connecting": [round(figure, 2) for figure in connecting], "logins": logins, "goal": f"< {GOAL} cores",
        "ok": cores < GOAL and logins == count,
    }  # fmt: skip


def _round(poller: VitalsPoller, memory: dict[str, Any]) -> tuple[float, float]:
    began, spent = time.monotonic(), cpu()
    look = poller.look(datetime.now(UTC), memory)
    memory.update(look.memory)
    silent = [one for one in look.heard if type(one).__name__ == "Silent"]
    assert not silent, silent[:3]
    return cpu() - spent, time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    told = measured(asked.hosts, asked.rounds)
    print(json.dumps(told))
    return 0 if told["ok"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
