"""The sweep: waits that are over, lost workers, lost probes, undelivered messages.

No tick expires: an expiry is compared with the reader's clock, and one clock that is ahead would stop all sweeping,
silently. What piled up while nobody read is passed by in milliseconds (`workers.turnstile`).
"""

from __future__ import annotations

from typing import Any

SWEEPING: dict[str, dict[str, Any]] = {
    "sweep": {"task": "byteport.sweep", "schedule": 1.0},
    "deliver": {"task": "byteport.deliver", "schedule": 5.0},
}
