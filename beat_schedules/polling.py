"""The pollers: who is asked for signals, and how often."""

from __future__ import annotations

from typing import Any

from byteport.settings.sections import PollersSection

# An expiry is compared with the reader's clock, which may be minutes ahead of beat's: one that is near the period would
# then stop all polling. It only keeps a day's backlog off; a short one is bounded where it is read, by half a period.
EXPIRES_SECONDS = 3600.0


def polling(pollers: PollersSection) -> dict[str, dict[str, Any]]:
    """One entry for each poller that is enabled."""
    databases = {
        "task": "byteport.poll",
        "args": ("database",),
        "schedule": pollers.database.period,
        "options": {"expires": EXPIRES_SECONDS},
    }
    return {"poll databases": databases} if pollers.database.enabled else {}
