"""What keeps the house in order: orphaned incidents, retention, the processes' own addresses."""

from __future__ import annotations

from typing import Any

from beat_schedules.sweeping import EXPIRES_SECONDS

HOUSEKEEPING: dict[str, dict[str, Any]] = {
    "tend": {"task": "byteport.tend", "schedule": 20.0, "options": {"expires": EXPIRES_SECONDS}},
}
