"""Who holds how much of each host's memory, written down every few minutes: what has grown can be told only by whoever
remembers. It tells nobody anything by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from byteport.model.facts.memory import MIB, TopMemory
from byteport.ports_memory import MemoryRecord
from byteport.sources.incoming import Heard
from byteport.sources.parts import each

AT_ONCE, MOST, LEAST = 16, 40, 20 * MIB


class LookingAtMemory(Protocol):
    """Raises Transient, Denied or Permanent."""

    def top(self, host: str) -> TopMemory: ...


@dataclass(frozen=True)
class MemoryLooksPoller:
    """One that does not answer is silent for the poller of vitals already; here it only leaves a gap."""

    looking: LookingAtMemory
    record: MemoryRecord
    hosts: Sequence[str]
    period: timedelta
    timeout: timedelta
    name: str = "memory"

    def ask(self, now: datetime) -> Sequence[Heard]:
        """Raises what the first host raised where none has answered."""
        for host, seen in each(self.hosts, self.looking.top, most=AT_ONCE).answers:
            held = {one.key[:300]: one.rss for one in reversed(seen.consumers[:MOST]) if one.rss >= LEAST}
            self.record.remember_memory(host, held)
        return ()
