"""Which worker takes which queues, and how it runs them.

Probing and acting never share a process: they log in as two identities. Values were chosen by measurement: threads
serve what waits for others at half the CPU and a fraction of the memory of processes; processes are for what may have
to be ended hard.
"""

from __future__ import annotations

from dataclasses import dataclass

SOFT_LIMIT = 30.0
HARD_LIMIT = 35.0
PROBE_LIMIT = 70.0  # a disk scan takes 60 s
OVERRUN = 2  # a thread that takes so many times its limit is taken for hung

QUEUE_OF = {
    "byteport.diagnose": "probe",
    "byteport.probe": "probe",
    "byteport.classify": "decide",
    "byteport.remediate": "act",
    "byteport.verify": "probe",
    "byteport.escalate": "notify",
    "byteport.deliver": "notify",
    "byteport.poll": "poll",
    "byteport.sweep": "sweep",
    "byteport.tend": "sweep",
    "byteport.anchor": "sweep",
}


@dataclass(frozen=True)
class Role:
    """One kind of worker process. `pool` is Celery's name: `threads` or `prefork`."""

    name: str
    queues: tuple[str, ...]
    pool: str
    concurrency: int


ROLES = {
    role.name: role
    for role in (
        # Who looks also decides on what was seen: diagnose and verify are for it. Polls travel on a queue of their own
        # to the one process that keeps a reading connection to each database.
        Role("probe", ("probe", "poll"), "threads", 16),
        # Two children, each with a kept connection to every database; the hard limit needs processes.
        Role("act", ("act",), "prefork", 2),
        # What is left to decide, deliveries that wait for others, sweeps: threads serve all three.
        Role("decide", ("decide", "notify", "sweep"), "threads", 12),
    )
}


def limit_of(task: str) -> float:
    """The seconds that a task may take before it counts as late."""
    return PROBE_LIMIT if task == "byteport.probe" else SOFT_LIMIT
