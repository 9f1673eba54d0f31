"""What an audit of the journals finds."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from byteport.model.base import Value

Wrong = Literal["missing", "edited", "inserted", "cut tail", "orphaned"]


class ChainBreak(Value):
    """The first line of an incident's journal that is not as it was written; `detail` says how it shows."""

    incident: str
    seq: int
    what: Wrong
    detail: str


class Anchor(Value):
    """One digest over the last line that each journal had at `as_of`; of incidents that had ended by `since`, none.

    SHA-256 over `id seq hash`, a line for each incident, in the order of their ids' bytes.
    """

    as_of: AwareDatetime
    since: AwareDatetime
    incidents: int
    digest: str
