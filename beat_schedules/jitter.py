"""A period that varies: things that were started together do not go on coming together."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import schedule

SPREAD = 0.1


class jittered(schedule):  # type: ignore[misc]  # noqa: N801 - as Celery's own schedules are called
    """Every `run_every` seconds, give or take a tenth, drawn anew for each turn."""

    def __init__(self, run_every: float, **more: Any) -> None:
        self.length = float(run_every)
        super().__init__(run_every, **more)

    def is_due(self, last_run_at: datetime) -> tuple[bool, float]:
        """Whether it is time, and seconds until it should be asked again. The next length is drawn when a turn ends."""
        found: tuple[bool, float] = super().is_due(last_run_at)
        if not found[0]:
            return found
        following = self.length * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311  (spreads load)
        self.run_every = timedelta(seconds=following)
        return True, following

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.length,)
