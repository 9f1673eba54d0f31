"""What people type to silence something: which signals, and for how long."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from byteport.errors import BadInput

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LONGEST = timedelta(days=90)


def match_of(pairs: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE each; raises BadInput for what is none, or says two things of one name."""
    told: dict[str, str] = {}
    for one in pairs:
        name, sign, value = one.partition("=")
        if not sign or not name.strip():
            raise BadInput("match", f"NAME=VALUE, got {one!r}")
        if told.setdefault(name.strip(), value.strip()) != value.strip():
            raise BadInput("match", f"{name.strip()} twice with two values matches nothing")
    if not told:
        raise BadInput("match", "NAME=VALUE at least once: nothing else says what is meant")
    return told


def length_of(text: str) -> timedelta:
    """30m, 2h, 1d12h; raises BadInput for anything else, and for more than 90 days."""
    if not re.fullmatch(r"(\d{1,6}[smhd])+", text):
        raise BadInput("for", f"a length such as 30m, 2h or 1d12h, got {text!r}")
    lasts = timedelta(seconds=sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", text)))
    if not timedelta(0) < lasts <= LONGEST:
        raise BadInput("for", f"more than nothing and at most 90d, got {text!r}")
    return lasts
