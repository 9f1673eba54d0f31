"""Lengths of time as people say them."""

from __future__ import annotations

import math
from datetime import datetime, timedelta


def seconds(length: timedelta | float) -> str:
    """45 s, 2 min, 4 min 10 s, 1 h 30 min, 7 d."""
    left = round(length.total_seconds() if isinstance(length, timedelta) else length)
    if left < 120:
        return f"{left} s"
    parts = [(left // 86_400, "d"), (left // 3600 % 24, "h"), (left // 60 % 60, "min"), (left % 60, "s")]
    return " ".join(f"{n} {unit}" for n, unit in parts if n)


def left(length: timedelta | float | None) -> str:
    """What is left of a wait, in whole seconds begun; empty where it has no end."""
    if length is None:
        return ""
    return seconds(math.ceil(length.total_seconds() if isinstance(length, timedelta) else length))


def moment(at: datetime) -> str:
    """A date on the ledger's clock, to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
