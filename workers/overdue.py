"""A thread cannot be ended. A process whose thread has hung is: it exits, and is restarted by whoever supervises it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog

from workers.roles import OVERRUN, limit_of

log: Any = structlog.get_logger("byteport.worker")

EXIT_CODE = 70
LOOK_EVERY = 1.0


def _exit(_task: str) -> None:
    os._exit(EXIT_CODE)


@dataclass
class Overdue:
    """The tasks that run in this process, and since when (monotonic seconds). `give_up` ends the process."""

    clock: Callable[[], float] = monotonic
    give_up: Callable[[str], None] = _exit
    running: dict[str, tuple[str, float]] = field(default_factory=dict)

    def begins(self, task_id: str, task: str) -> None:
        self.running[task_id] = (task, self.clock())

    def ends(self, task_id: str) -> None:
        self.running.pop(task_id, None)

    def hung(self) -> list[tuple[str, str]]:
        """Tasks (id, name) that took more than twice their limit."""
        now = self.clock()
        return [
            (task_id, task)
            for task_id, (task, since) in list(self.running.items())
            if now - since > OVERRUN * limit_of(task)
        ]

    def watch(self) -> None:
        """Look every second, in a thread of its own."""
        threading.Thread(target=self._look_on, name="watches for hung tasks", daemon=True).start()

    def _look_on(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(LOOK_EVERY):
            for task_id, task in self.hung():
                log.critical("task_hung", task=task, task_id=task_id, limit=limit_of(task))
                self.give_up(task)
