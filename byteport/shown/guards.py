"""Everything that stands in the way now, with who holds it and for how long; and what people have reset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from byteport.engine.pages import Pages
from byteport.model.base import Json
from byteport.records.standing import GuardRow, HeldLock, PauseRow, Reset
from byteport.stores import Ledger

LOCKS = ("lock", "shared_lock", "capacity")


@dataclass(frozen=True)
class Guards:
    """As the ledger has it at `now`, on its clock. `locks` tells of each holder what `rows` counts."""

    now: datetime
    rows: tuple[GuardRow, ...]
    locks: tuple[HeldLock, ...]
    pauses: tuple[PauseRow, ...]
    resets: tuple[Reset, ...]


def fetch(ledger: Ledger, pages: Pages) -> Guards:
    """Read it all. Raises Unavailable."""
    return Guards(
        now=ledger.now(),
        rows=tuple(ledger.guard_rows({page.name: page.cooldown for page in pages.all})),
        locks=tuple(ledger.held_locks()),
        pauses=tuple(ledger.pauses()),
        resets=tuple(ledger.resets()),
    )


def as_json(guards: Guards) -> Json:
    """`guards list --json`, and the API's."""
    return {
        "now": guards.now.isoformat(),
        "guards": [row.model_dump(mode="json") for row in guards.rows],
        "locks": [lock.model_dump(mode="json") for lock in guards.locks],
        "pauses": [row.model_dump(mode="json") for row in guards.pauses],
        "resets": [row.model_dump(mode="json") for row in guards.resets],
    }
