"""What a poller is asked: a source that BytePort looks at by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from byteport.sources.incoming import Heard


class Poller(Protocol):
    """One source, looked at every `period`. It may remember things between two looks, in its process alone: after a
    restart it says again what is still so, which the ledger knows by its event id or absorbs.

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
