"""What is asked of the ledger about incidents that no worker moves any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from byteport.model.base import Value
from byteport.model.signal import Severity
from byteport.records.delivery import Message
from byteport.records.incident import Phase


class Due(Value):
    """An incident that the sweeper found due, with the phase that says which task to ring.

    `wants_hands` (of the incident's state): something must be settled at the target, so an acting worker is rung.
    `unattended`: it waits for an acting worker, it was rung for in vain for a minute (five where it is to act), and no
    acting worker has been heard of lately.
    """

    incident: str
    phase: Phase
    wants_hands: bool = False
    unattended: bool = False


class Orphan(Value):
    """An incident that has a page which no worker has claimed with; its runbook is known here."""

    incident: str
    runbook: str
    page: str


class Stranded(Value):
    """An incident whose runbook is installed nowhere. `target` and what is `left` open or owed are in words."""

    incident: str
    runbook: str
    target: str
    severity: Severity
    dry_run: bool
    left: tuple[str, ...] = ()


class Abandoned(Protocol):
    """Raises Unavailable when the ledger cannot be reached."""

    def end_claims_of_the_dead(self) -> list[Due]:
        """End the claims of processes of this machine that are dead, at once or as soon as what they had begun at a
        target must be over; those that are free now, to ring for."""
        ...

    def leave_to_fleet(self, driver: str) -> None:
        """What this driver has not brought to its end is the fleet's from now on."""
        ...

    def orphans(self, pages: Mapping[str, str], after: timedelta = timedelta(seconds=60)) -> list[Orphan]:
        """Due incidents that nobody with their page has claimed for `after`, of the runbooks in `pages`, whose digest
        there is another."""
        ...

    def adopt(self, incident_id: str, page: str, *, diagnose_anew: bool, reason: str) -> None:
        """Give an orphan the page at hand: back to OPEN when no intent exists (`diagnose_anew`), else to ESCALATE. One
        that rests with people or is being closed keeps its phase, its reason and its ending."""
        ...

    def stranded(self, runbooks: Sequence[str], after: timedelta = timedelta(seconds=60)) -> list[Stranded]:
        """Due incidents that nobody has claimed for `after` and whose runbook is not among `runbooks`."""
        ...

    def leave_to_people(self, incident_id: str, reason: str, messages: Sequence[Message]) -> None:
        """Escalate what nobody can move, with these words, once; what it holds and owes stays. Where a person has
        closed or cancelled it, it closes: what was open is unknown, what was owed is theirs. Nothing when somebody has
        worked on it lately."""
        ...
