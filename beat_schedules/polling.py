"""The pollers: who is asked for signals, and how often."""

from __future__ import annotations

from typing import Any

from beat_schedules.sweeping import EXPIRES_SECONDS
from byteport.settings.sections import PollersSection


def polling(pollers: PollersSection) -> dict[str, dict[str, Any]]:
    """One entry for each poller that is enabled. A tick is worthless when the next one has come."""
    period = pollers.database.period
    databases = {
        "task": "byteport.poll",
        "args": ("database",),
        "schedule": period,
        "options": {"expires": period + EXPIRES_SECONDS},
    }
    return {"poll databases": databases} if pollers.database.enabled else {}
