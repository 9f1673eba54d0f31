"""What those ask of the ledger who look after it: whether the journals are whole, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from byteport.records.audit import Anchor, ChainBreak
from byteport.records.standing import GuardRow, HeldLock, Reset


class Audited(Protocol):
    """Raises Unavailable when the ledger cannot be reached."""

    def now(self) -> datetime:
        """The ledger's clock."""
        ...

    def journals(self, after: str = "", limit: int = 200) -> list[str]:
        """Ids that have a journal, in their order; also where the incident itself is gone."""
        ...

    def chain_breaks(self, incidents: Sequence[str]) -> list[ChainBreak]:
        """The first break of each of these that has one. What the retention has forgotten meanwhile has none."""
        ...

    def anchor(self, as_of: datetime | None = None, back: timedelta = timedelta(days=30)) -> Anchor:
        """As the journals were at that time, by default five minutes ago: what is younger may still be committed.

        It stays the same for as long as the retention forgets nothing that ended within `back` before `as_of`. Raises
        BadInput for a time that is too late."""
        ...

    def guard_rows(self, cooldowns: Mapping[str, timedelta] | None = None) -> list[GuardRow]:
        """Every budget in use and every lock held; and of these runbooks the cooldown that a target is in."""
        ...

    def held_locks(self) -> list[HeldLock]:
        """One row for each holder, in the order of keys."""
        ...

    def resets(self, limit: int = 50) -> list[Reset]:
        """The newest first."""
        ...

    def reset_guard(self, claim_key: str, who: str, why: str) -> int:
        """What was spent on this key counts no more: a row with the reason, never a deletion. How many spends; the
        budgets store learns it by a rebuild. Raises BadInput for what is not in use, a lock, and one incident's own
        ceiling."""
        ...
