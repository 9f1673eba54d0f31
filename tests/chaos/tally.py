"""What a campaign has done so far, kept in a file so that an interrupted one can go on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SLOW = 60.0


@dataclass
class Tally:
    """`hits` are kills inside an intent by the place where they landed; `recovered` the seconds of each recovery."""

    seed: int
    wanted: int
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    moments: int = 0
    sent: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_of: str = ""
    slow: list[str] = field(default_factory=list)

    @property
    def killed(self) -> int:
        return sum(self.kills.values())

    @property
    def inside(self) -> int:
        return sum(self.hits.values())

    def recovered(self, seconds: float, what: str) -> None:
        """What took more than a minute is listed: its own patience, or another fault that hit it meanwhile."""
        if seconds > SLOW:
            self.slow.append(f"{seconds:.0f} s: {what}")
        if seconds > self.slowest:
            self.slowest, self.slowest_of = seconds, what

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(vars(self), indent=1), encoding="utf-8")
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Tally:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("kills", "faults", "hits"):
            told[name] = Counter(told[name])
        return cls(**told)
