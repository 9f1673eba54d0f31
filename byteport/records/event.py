"""The journal: what happened, told once, in order."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from byteport.model.base import Json, Value


class Event(Value):
    """One line to append. `kind` is a word such as `signal`, `phase`, `verdict`, `attempt`, `outcome`, `delivery`."""

    kind: str
    text: str = ""
    data: Json = Field(default_factory=dict)


class StoredEvent(Event):
    """As appended: `seq` is gapless per incident, `hash` covers this line and the one before (`previous`)."""

    incident: str
    seq: int
    at: AwareDatetime
    previous: str
    hash: str
