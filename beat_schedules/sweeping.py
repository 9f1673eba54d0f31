"""The sweep: waits that are over, lost workers, lost probes, undelivered messages."""

from __future__ import annotations

from typing import Any

# A tick nobody took in time is worthless, but clocks of two machines may differ by the 5 s that `doctor` allows: an
# expiry of one period would then stop all sweeping, silently.
EXPIRES_SECONDS = 6

SWEEPING: dict[str, dict[str, Any]] = {
    "sweep": {"task": "byteport.sweep", "schedule": 1.0, "options": {"expires": EXPIRES_SECONDS}},
    "deliver": {"task": "byteport.deliver", "schedule": 5.0, "options": {"expires": 5 + EXPIRES_SECONDS}},
}
