"""What keeps the house in order: orphaned incidents, retention, the processes' own addresses."""

from __future__ import annotations

from typing import Any

HOUSEKEEPING: dict[str, dict[str, Any]] = {
    "tend": {"task": "byteport.tend", "schedule": 20.0},  # expires no more than a sweep does, for the same reason
}
