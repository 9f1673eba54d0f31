"""What one move leaves behind, saved in one transaction."""

from __future__ import annotations

from pydantic import AwareDatetime

from byteport.model.base import Value
from byteport.model.signal import Mode, Signal
from byteport.records.delivery import Message, Postmortem
from byteport.records.event import Event
from byteport.records.evidence import Round
from byteport.records.incident import Incident


class Lease(Value):
    """A claim on an incident: until `until` only the holder of `token` may move it. `now` is the ledger's clock."""

    incident: str
    token: str
    until: AwareDatetime
    now: AwareDatetime


class Settlement(Value):
    """How an obligation ended: `state` is done, dropped or escalated."""

    obligation: str
    state: str
    why: str


class Change(Value):
    """The incident as it shall stand, and everything that goes with it, all or none."""

    incident: Incident
    events: tuple[Event, ...] = ()
    look: Round | None = None
    messages: tuple[Message, ...] = ()
    postmortem: Postmortem | None = None
    settled: tuple[Settlement, ...] = ()
    release_locks: bool = False
    child: Signal | None = None
    child_runbook: str = ""
    child_page: str = ""
    child_mode: Mode = Mode.DRY_RUN


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
