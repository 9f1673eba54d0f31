"""A diagnosis: the first rule that matched, and for every rule why it held, did not, or is unknown."""

from __future__ import annotations

from typing import Literal

from byteport.model.base import Value

Disposition = Literal["act", "propose_pr", "escalate", "audit_only"]


class Considered(Value):
    """One rule as it was read: `held` None is unknown, `reads` the fields it asked for, `lacks` the conditions that did
    not hold, `disposition` what it would have led to."""

    name: str
    held: bool | None
    because: str
    confidence: int | None = None
    reads: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    disposition: Disposition | None = None


class Diagnosis(Value):
    """`confidence` in whole hundredths after deductions. `name` may be `inconclusive` or `unknown`."""

    name: str
    disposition: Disposition
    confidence: int
    because: str
    considered: tuple[Considered, ...]
    deductions: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    @property
    def conclusive(self) -> bool:
        return self.name not in ("inconclusive", "unknown")
