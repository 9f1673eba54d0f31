"""Signals that come at the same time are stored together, and each is answered after the commit that stored it.

Nobody waits for company: what has come is taken at once, and what comes meanwhile is the next group. So one signal
alone is as quick as ever, and under load the groups grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from byteport.engine.intake import Taken
from byteport.model.signal import Signal
from byteport.stores_signals import Admission

MOST_TOGETHER = 100
# While one group is being stored, another begins only if it is large enough to be worth its own round trips.
HANDS, WORTH_ANOTHER = 3, 12

Waiting = tuple[Signal, "asyncio.Future[Admission | None]"]


@dataclass
class Gathering:
    """Belongs to the event loop that `take` is awaited in; `take_all` runs in a thread of its own."""

    take_all: Callable[[Sequence[Signal]], list[Taken]]
    waiting: list[Waiting] = field(default_factory=list)
    busy: int = 0
    hands: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(HANDS, thread_name_prefix="intake"))

    async def take(self, signal: Signal) -> Admission | None:
        """As `Intake.take`, with the errors that it raises, once it is stored."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Admission | None] = loop.create_future()
        self.waiting.append((signal, future))
        if len(self.waiting) in (1, WORTH_ANOTHER):
            loop.call_soon(self._go_on, loop)
        return await future

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        while len(self.waiting) >= (WORTH_ANOTHER if self.busy else 1) and self.busy < HANDS:
            group, self.waiting = self.waiting[:MOST_TOGETHER], self.waiting[MOST_TOGETHER:]
            self.busy += 1
            self.hands.submit(self._store, group, loop)

    def _store(self, group: Sequence[Waiting], loop: asyncio.AbstractEventLoop) -> None:
        taken: Sequence[Taken]
        try:
            taken = self.take_all([signal for signal, _ in group])
        except Exception as wrong:  # noqa: BLE001 - answered and logged with each of them
            taken = [wrong] * len(group)
        loop.call_soon_threadsafe(self._answer, group, taken, loop)

    def _answer(self, group: Sequence[Waiting], taken: Sequence[Taken], loop: asyncio.AbstractEventLoop) -> None:
        self.busy -= 1
        for (_, future), became in zip(group, taken, strict=True):
            if future.done():  # whoever asked has gone
                continue
            if isinstance(became, Exception):
                future.set_exception(became)
            else:
                future.set_result(became)
        self._go_on(loop)
