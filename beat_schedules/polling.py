"""The pollers: who is asked for signals, and how often."""

from __future__ import annotations

from typing import Any

from beat_schedules.jitter import jittered
from beat_schedules.sweeping import EXPIRES_SECONDS
from byteport.settings.pollers import PollersSection


def polling(pollers: PollersSection) -> dict[str, dict[str, Any]]:
    """One entry for each poller that is enabled, each with a period that varies a little, so that many of them do not
    come together. A tick is worthless when the next one has come."""
    period = pollers.database.period
    databases = {
        "task": "byteport.poll",
        "args": ("database",),
        "schedule": period,
        "options": {"expires": period + EXPIRES_SECONDS},
    }
    others = {f"poll {name}": _entry(name, each) for name, each in pollers.periods()}
    return {**({"poll databases": databases} if pollers.database.enabled else {}), **others}


def _entry(name: str, period: float) -> dict[str, Any]:
    return {
        "task": "byteport.poll", "args": (name,), "schedule": jittered(period),
        "options": {"expires": period + EXPIRES_SECONDS},
    }  # fmt: skip
