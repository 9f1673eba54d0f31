"""What a poller is asked: a source that BytePort looks at by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

import structlog
from pydantic import ValidationError

from byteport.model.base import Json, Value
from byteport.sources.incoming import Heard

log: Any = structlog.get_logger("byteport.sources.polling")
Memory = TypeVar("Memory", bound=Value)


class Poller(Protocol):
    """One source, looked at every `period` by whichever process has the turn; what it says again is known to the ledger
    by its event id, or absorbed.

    `name` is unique among the pollers of a configuration and names it in metrics, in the ledger and to people.
    `timeout` bounds a look; the poller's clients keep to it.
    """

    @property
    def name(self) -> str: ...
    @property
    def period(self) -> timedelta: ...
    @property
    def timeout(self) -> timedelta: ...

    def ask(self, now: datetime) -> Sequence[Heard]:
        """What is to be told now. A condition that ended since it was told comes once as resolved. Raises Transient
        (with `retry_after` where the source named a time) or Permanent where the source did not answer: unknown is
        not healthy, and clears nothing."""
        ...


@dataclass(frozen=True)
class Looked:
    """What one look tells, and what the next one has to know, as JSON."""

    heard: Sequence[Heard]
    memory: Json = field(default_factory=dict)


@runtime_checkable
class Remembering(Protocol):
    """A poller that has to know what it saw last. That stands in its row of the ledger: the next look may be another
    process's."""

    @property
    def name(self) -> str: ...
    @property
    def period(self) -> timedelta: ...
    @property
    def timeout(self) -> timedelta: ...

    def look(self, now: datetime, memory: Mapping[str, Any]) -> Looked:
        """As `ask`, with what the last look that was answered has left; empty at first. `now` is the ledger's, whoever
        looks. Keeps nothing in the process."""
        ...


AnyPoller = Poller | Remembering


def looked(poller: AnyPoller, now: datetime, memory: Mapping[str, Any]) -> Looked:
    """One look, of either kind."""
    if isinstance(poller, Remembering):
        return poller.look(now, memory)
    return Looked(poller.ask(now))


def recalled(kind: type[Memory], memory: Mapping[str, Any]) -> Memory:
    """What was remembered; nothing where another release has written it in a form of its own."""
    try:
        return kind.model_validate(memory)
    except ValidationError as unreadable:
        log.warning("memory_not_read", kind=kind.__qualname__, why=str(unreadable)[:300])
        return kind()
