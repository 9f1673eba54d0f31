"""What the outbox asks of a way to people."""

from __future__ import annotations

from typing import Protocol

from byteport.errors import Permanent
from byteport.records.delivery import Delivery, Receipt


class Channel(Protocol):
    """One way to people. Both methods raise Transient (with `retry_after` where the other side named a time) or
    Permanent. A channel that is not `askable` tells at least once: after a lost answer it may tell twice."""

    @property
    def name(self) -> str: ...
    @property
    def askable(self) -> bool: ...
    def send(self, delivery: Delivery) -> Receipt:
        """Tell; what `repeat_of` names gets an addition there. Leaves the delivery's marker for `find`."""
        ...

    def find(self, delivery: Delivery) -> Receipt | None:
        """The receipt of this very delivery if an earlier try arrived; None where it did not, or nobody can say."""
        ...


class NoSuchThread(Permanent):
    """What was to be added to is no longer there."""
