"""What keeps the house in order: orphaned incidents, retention, the processes' own addresses, the journals' anchor."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

from beat_schedules.sweeping import EXPIRES_SECONDS

HOUSEKEEPING: dict[str, dict[str, Any]] = {
    "tend": {"task": "byteport.tend", "schedule": 20.0, "options": {"expires": EXPIRES_SECONDS}},
    # By the hour and not by a period, which a restart of beat would begin anew; several a day, since one may be lost.
    "anchor journals": {
        "task": "byteport.anchor",
        "schedule": crontab(minute=7, hour="*/6"),
        "options": {"expires": 3600.0},
    },
}
