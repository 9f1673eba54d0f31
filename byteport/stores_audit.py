"""What of the ledger is asked by those who check it: whether the journals are whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from byteport.records.audit import Anchor, ChainBreak
from byteport.records.standing import GuardRow, HeldLock


class Audited(Protocol):
    """Reads only. Raises Unavailable when the ledger cannot be reached."""

    def now(self) -> datetime:
        """The ledger's clock."""
        ...

    def journals(self, after: str = "", limit: int = 200) -> list[str]:
        """Ids that have a journal, in their order; also where the incident itself is gone."""
        ...

    def chain_breaks(self, incidents: Sequence[str]) -> list[ChainBreak]:
        """The first break of each of these that has one. Unknown ids are orphaned: their incident is gone."""
        ...

    def anchor(self, as_of: datetime | None = None, back: timedelta = timedelta(days=30)) -> Anchor:
        """As the journals were at that time, by default five minutes ago: what is younger may still be committed.

        It stays the same for as long as the retention forgets nothing that ended within `back` before `as_of`. Raises
        BadInput for a time that is too late."""
        ...

    def held_locks(self) -> list[HeldLock]: ...
    def guard_rows(self) -> list[GuardRow]: ...
