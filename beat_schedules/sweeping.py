"""The sweep: waits that are over, lost workers, lost probes, undelivered messages."""

from __future__ import annotations

from typing import Any

# Whoever takes a tick compares its expiry with a clock of its own: with clocks minutes apart a short one would stop all
# sweeping, silently. What is left behind when nobody sweeps costs one statement a tick, one at a time in a process.
EXPIRES_SECONDS = 3600

SWEEPING: dict[str, dict[str, Any]] = {
    "sweep": {"task": "byteport.sweep", "schedule": 1.0, "options": {"expires": EXPIRES_SECONDS}},
    "deliver": {"task": "byteport.deliver", "schedule": 5.0, "options": {"expires": EXPIRES_SECONDS}},
}
