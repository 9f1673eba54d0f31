"""What is asked of the ledger about signals: taken in one by one or together; and the inventory of targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol, TypeAlias

from byteport.model.base import Value
from byteport.model.signal import Mode, Signal
from byteport.model.target import Target
from byteport.records.standing import Promotion


class Admission(Value):
    """What became of a signal: the incident that it opened or was absorbed by."""

    incident: str
    absorbed: bool
    duplicate: bool = False


# One of many that were admitted together: an error is that one's alone.
Admitted = Admission | Exception


class Opening(Value):
    """What intake has decided for a signal, for the ledger to carry out in one transaction. `once`: a target that an
    incident has ended for is not opened again. `follows`: see `Incident`."""

    signal: Signal
    runbook: str
    page: str
    mode: Mode
    person: str = ""
    driver: str = ""
    driver_for: timedelta = timedelta(0)
    parent: str = ""
    follows: str = ""
    once: bool = False


class Seen(Value):
    """Targets of signals as the inventory has them, by kind:key, and the newest promotion of each runbook."""

    targets: Mapping[str, Target]
    promotions: Mapping[str, Promotion]


Settle: TypeAlias = Callable[[Opening, Seen], Opening]


class Signals(Protocol):
    """Raises Unavailable when the ledger cannot be reached."""

    def admit(self, opening: Opening) -> Admission:
        """Store the signal, then absorb it into the open incident of (runbook, target key) or open a new one: one
        transaction. The same (source, event_id) twice is a duplicate and changes nothing. A higher severity, or a
        signal on an escalated incident, makes that incident due at once. Clears `clear_since`."""
        ...

    def admit_all(self, openings: Sequence[Opening], settle: Settle = ...) -> list[Admitted]:
        """Each as `admit` would have, in this order; the error of one in its place. `settle`, pure, completes each that
        was not told before with what the ledger knows. Unavailable: nothing is stored."""
        ...

    def condition_cleared(self, runbook: str, signal: Signal) -> None:
        """The source looked and the condition is gone: date it on the open incident (`clear_since`), if any, once.
        Nothing for an event that was taken before, for one that is older than what the same source has fired since, or
        while another condition that the source told of the incident has not ended."""
        ...

    def known_target(self, target: Target) -> Target | None:
        """The target as the inventory has it: what it is within, and how to reach it."""
        ...

    def see_target(self, target: Target) -> None:
        """Note a known target in the inventory, with the time. Unseen for 24 h does not count."""
        ...
