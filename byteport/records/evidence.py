"""Evidence as it is stored, and the groups of probes that bring it."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime

from byteport.grammar.evidence import Failure
from byteport.model.base import Value


class Answer(Value):
    """One probe's answer, or its failure. `fact` is JSON as the field's type dumps it."""

    field: str
    fact: Any = None
    failure: Failure | None = None
    duration_ms: float = 0.0


class StoredAnswer(Answer):
    """An answer with where it belongs, kept by (incident, round, field)."""

    round: int
    taken_at: AwareDatetime


class Round(Value):
    """A round to open: groups by connection with their fields; every group is one task."""

    groups: dict[str, tuple[str, ...]]
    purpose: str
    lease_seconds: float = 15.0
    deadline_seconds: float = 90.0


class GroupLease(Value):
    """One probe group, taken by one worker. `fields` is what it must answer."""

    incident: str
    round: int
    group: str
    token: str
    fields: tuple[str, ...]
    now: AwareDatetime


class Looked(Value):
    """What storing a group's answers led to."""

    stored: bool
    completes_the_round: bool
    phase: str = ""
