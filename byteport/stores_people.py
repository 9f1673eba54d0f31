"""What is asked of the ledger about people: what they are told, what they have silenced, and which sources answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from byteport.records.delivery import Delivery, Message, Receipt
from byteport.records.figures import PollerRow, StormRow, Turn
from byteport.records.standing import ForeignSilence, SilenceRow


class People(Protocol):
    """Raises Unavailable when the ledger cannot be reached."""

    def deliveries_due(self, limit: int = 20) -> list[Delivery]:
        """Take due deliveries for 60 s each (SKIP LOCKED); `tries` counts up."""
        ...

    def still_to_send(self, delivery: Delivery) -> bool:
        """Whether it is still the taker's, which then has another 60 s; asked just before it is sent."""
        ...

    def delivered(self, delivery: Delivery, receipt: Receipt) -> None: ...
    def not_delivered(self, delivery: Delivery, error: str, again_in: timedelta | None) -> None:
        """None: given up; the state becomes failed."""
        ...

    def deliveries_of(self, incident_id: str) -> list[Delivery]: ...

    def silence(self, match: Mapping[str, str], length: timedelta, why: str, who: str) -> int: ...
    def silences(self) -> list[SilenceRow]: ...
    def end_silence(self, silence: int, who: str) -> bool: ...
    def keep_silences(self, origin: str, found: Sequence[ForeignSilence]) -> None:
        """What another system silences, as it has it now; what it has no more has ended."""
        ...

    def poll_begins(self, name: str, period: timedelta, configuration: str) -> Turn | None:
        """A poller's turn to look now: nobody has begun for half a period, and nobody is looking who has not taken
        longer than a look may. None otherwise. `configuration` is the process's digest."""
        ...

    def polled(
        self, turn: Turn, error: str, again_in: timedelta | None = None, memory: Mapping[str, Any] | None = None
    ) -> bool:
        """How it went, and what to remember, in one statement; an empty error is a success, and without a memory the
        last one stays. It is not asked again before `again_in` has passed. False, and nothing is written, where
        somebody has begun to look since. Raises BadInput for a memory of more than LONGEST_MEMORY bytes."""
        ...

    def parts_polled(self, name: str, period: timedelta, configuration: str, silent: Mapping[str, str]) -> None:
        """Which parts of it did not answer, and why: people hear of each as of a source of its own."""
        ...

    def pollers(self) -> list[PollerRow]: ...
    def tell_of_pollers(self, configuration: str, words: Callable[[PollerRow], Sequence[Message]]) -> int:
        """Once for each poller of this configuration that has had no success for three periods, and once when it has
        again: store these words. What other configurations asked for is no longer watched. How many."""
        ...

    def tend_storms(
        self, runbooks: Sequence[str], later: Sequence[timedelta], words: Callable[[StormRow], Sequence[Message]]
    ) -> int:
        """Note the storms that have begun, and store the words on those that are over or whose next time has come,
        each once whoever else tends. How many."""
        ...

    def storms(self) -> list[StormRow]: ...
    def end_storm(self, runbook: str, who: str) -> None: ...
    def notify(self, messages: Sequence[Message]) -> None:
        """Store messages that concern no incident."""
        ...
