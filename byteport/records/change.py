"""What one move leaves behind, saved in one transaction."""

from __future__ import annotations

from datetime import timedelta
from time import CLOCK_BOOTTIME, clock_gettime

from pydantic import AwareDatetime, Field

from byteport.model.base import Value
from byteport.model.signal import Mode, Signal
from byteport.records.delivery import Message, Postmortem
from byteport.records.event import Event, StoredEvent
from byteport.records.evidence import Round, StoredAnswer
from byteport.records.incident import Incident
from byteport.records.intent import Intent, Obligation


def since_boot() -> float:
    """Seconds."""
    return clock_gettime(CLOCK_BOOTTIME)


class Lease(Value):
    """A claim on an incident: until `until` only the holder of `token` may move it. `now` is the ledger's clock.

    `asked_at` is this machine's clock since its boot just before it was asked for, which counts also while the machine
    sleeps: what is left of the claim a process can tell by itself.
    """

    incident: str
    token: str
    until: AwareDatetime
    now: AwareDatetime
    asked_at: float = Field(default_factory=since_boot)

    def lasts(self, length: timedelta) -> bool:
        """Whether the claim is certain to hold for so long yet, also after this process has stood still."""
        return (self.until - self.now).total_seconds() - (since_boot() - self.asked_at) >= length.total_seconds()


class Known(Value):
    """What was read of an incident together with its claim, each None where it was not."""

    answers: tuple[StoredAnswer, ...] | None = None
    intents: tuple[Intent, ...] | None = None
    owed: tuple[Obligation, ...] | None = None
    events: tuple[StoredEvent, ...] | None = None


NOTHING_READ = Known()


class Claimed(Value):
    """A claim, the incident as it then stands, and what its next move will ask for."""

    incident: Incident
    lease: Lease
    known: Known = NOTHING_READ


class Settlement(Value):
    """How an obligation ended: `state` is done, dropped or escalated."""

    obligation: str
    state: str
    why: str


class Change(Value):
    """The incident as it shall stand, and everything that goes with it, all or none. `taken`: the groups of the look
    that whoever saves it asks itself, each with the token under which it does. `owes_look`: so long after it has closed
    it is to be looked at again."""

    incident: Incident
    events: tuple[Event, ...] = ()
    look: Round | None = None
    taken: dict[str, str] = Field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    postmortem: Postmortem | None = None
    settled: tuple[Settlement, ...] = ()
    release_locks: bool = False
    owes_look: timedelta | None = None
    child: Signal | None = None
    child_runbook: str = ""
    child_page: str = ""
    child_mode: Mode = Mode.DRY_RUN

    @property
    def is_plain(self) -> bool:
        """Nothing but the incident and lines of its journal."""
        more = (self.look, self.messages, self.postmortem, self.settled, self.release_locks, self.child, self.owes_look)
        return not any(more)


class LockWanted(Value):
    """A lock of a plan. Shared ones exclude only exclusive ones; `capacity` > 0 allows that many holders instead."""

    key: str
    exclusive: bool = True
    capacity: int = 0
    guard: str = "target_lock"


class LockConflict(Value):
    """Why the locks were not granted: the key, its holders (incidents), and what was allowed."""

    key: str
    guard: str
    holders: tuple[str, ...]
    limit: int = 1
