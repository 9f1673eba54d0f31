"""Workers are woken by a thread of its own: neither an answer nor the next signal waits for the broker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog

log: Any = structlog.get_logger("byteport.web")
MOST_WAITING = 10_000
MOST_AT_ONCE = 200


@dataclass
class Bells:
    """What was committed is rung for in groups. What cannot be rung, the sweeper finds; what waits when the process is
    told to stop, is still rung."""

    ring_all: Callable[[Sequence[str]], None]
    waiting: deque[str] = field(default_factory=deque)
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="bells"))

    def ring(self, incidents: Sequence[str]) -> None:
        """Returns at once."""
        if len(self.waiting) + len(incidents) > MOST_WAITING:
            log.warning("left_to_the_sweeper", incidents=len(incidents))
            return
        if incidents:
            self.waiting.extend(incidents)
            self.thread.submit(self._ring_on)

    def _ring_on(self) -> None:
        """Everything that waits; whoever comes after finds nothing left."""
        while self.waiting:
            self.ring_all([self.waiting.popleft() for _ in range(min(len(self.waiting), MOST_AT_ONCE))])
