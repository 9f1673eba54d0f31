"""The sweep: what is due is rung for, not faster than it is taken; what falls due before the next tick is waited for.

Whatever is rung for stands in line before the next new signal. So only so much is rung for as the workers have to do
for a moment, and more as soon as they have taken some of it: a thousand waits that end at once keep nobody waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from byteport.engine.engine import Engine
from byteport.stores_abandoned import Due

WAKE_AT_ONCE = 500
UNTAKEN = 20  # rung for and not claimed yet: what a small fleet has to do for half a second
LASTS = 0.8  # of the second until the next tick
AGAIN = 0.1


def sweep(engine: Engine, wake: Callable[[Sequence[Due]], None]) -> None:
    """`wake` is told of what is due, as often as something is."""
    until = time.monotonic() + LASTS
    while True:
        found = engine.wake_due(WAKE_AT_ONCE, UNTAKEN)
        wake(found)
        left = until - time.monotonic()
        wait = AGAIN if found else _until_next(engine, left)
        if wait > left:
            return
        time.sleep(wait)


def _until_next(engine: Engine, within: float) -> float:
    """Seconds until something falls due; more than `within` where nothing does."""
    following = engine.ledger.next_due(timedelta(seconds=max(0.0, within)))
    return within + AGAIN if following is None else following.total_seconds()
