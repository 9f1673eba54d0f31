"""What happens by the clock, as data. Every entry is a doorbell: a tick that is lost or comes twice does no harm."""

from __future__ import annotations

from typing import Any

from beat_schedules.housekeeping import HOUSEKEEPING
from beat_schedules.polling import polling
from beat_schedules.sweeping import SWEEPING
from byteport.settings.pollers import PollersSection


def schedule(pollers: PollersSection) -> dict[str, dict[str, Any]]:
    """All entries, as Celery's beat takes them; people decide which pollers run and how often."""
    return {**SWEEPING, **HOUSEKEEPING, **polling(pollers)}
