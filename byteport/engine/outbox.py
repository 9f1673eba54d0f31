"""Deliveries: before a retry the channel is asked, so that a message is neither lost nor doubled."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from byteport.errors import Permanent, Transient
from byteport.records.delivery import Delivery, Receipt
from byteport.redaction import redact
from byteport.stores import Ledger

MOST_TRIES = 12


class Channel(Protocol):
    """A way to people. `find` answers the receipt of a message that already arrived; `askable` says that it can."""

    @property
    def name(self) -> str: ...
    @property
    def askable(self) -> bool: ...
    def send(self, delivery: Delivery) -> Receipt: ...
    def find(self, delivery: Delivery) -> Receipt | None: ...


@dataclass(frozen=True)
class Outbox:
    """A channel that is down delays only itself; after its last try a delivery goes to the fallback channel."""

    ledger: Ledger
    channels: Mapping[str, Channel]
    fallback: str = "journal"

    def deliver_due(self, limit: int = 20) -> int:
        """Send what is due; how many were delivered. Each is asked for again when its turn comes: while those before it
        were sent it may have become another worker's."""
        due = self.ledger.deliveries_due(limit)
        return sum(self._deliver(delivery) for delivery in due if self.ledger.still_to_send(delivery))

    def _deliver(self, delivery: Delivery) -> bool:
        channel = self.channels.get(delivery.message.channel)
        if channel is None:
            return self._fall_back(delivery, f"channel {delivery.message.channel!r} is not configured")
        try:
            receipt = channel.find(delivery) if delivery.tries > 1 and channel.askable else None
            self.ledger.delivered(delivery, receipt or channel.send(delivery))
        except Transient as hiccup:
            if delivery.tries >= MOST_TRIES:
                return self._fall_back(delivery, str(hiccup))
            self.ledger.not_delivered(delivery, str(redact(str(hiccup))), _back_off(delivery, hiccup))
            return False
        except Permanent as refusal:
            return self._fall_back(delivery, str(refusal))
        except Exception as bug:  # noqa: BLE001 - a channel's bug must not hold up what others have to say
            return self._fall_back(delivery, f"bug in channel {delivery.message.channel}: {bug!r}")
        return True

    def _fall_back(self, delivery: Delivery, why: str) -> bool:
        """The fallback channel, once; where that is what failed, the delivery has failed and the console shows it."""
        fallback = self.channels.get(self.fallback)
        told = str(redact(why))
        if fallback is None or delivery.message.channel == self.fallback:
            self.ledger.not_delivered(delivery, told, None)
            return False
        try:
            self.ledger.delivered(delivery, fallback.find(delivery) or fallback.send(delivery))
        except Exception as problem:  # noqa: BLE001 - the same holds here
            again = _back_off(delivery, problem) if delivery.tries < 2 * MOST_TRIES else None
            self.ledger.not_delivered(delivery, f"{told}; {self.fallback}: {redact(str(problem))}", again)
            return False
        return True


def _back_off(delivery: Delivery, problem: Exception) -> timedelta:
    """Doubling from 2 s to 5 min with jitter, or longer where the channel named a time."""
    doubled = min(2.0 * 2 ** max(0, delivery.tries - 1), 300.0)
    named = getattr(problem, "retry_after", None) or timedelta(0)
    return max(timedelta(seconds=doubled * random.uniform(0.75, 1.25)), named)  # noqa: S311  (spreads load)
