"""Alertmanager's silences, fetched so that they stop acting here too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from byteport.records.standing import ForeignSilence
from byteport.sources.incoming import Heard
from byteport.stores_people import People


@dataclass(frozen=True)
class SilencesPoller:
    """Tells nothing; what it reads stands in the ledger. Its name begins with `silences of `, which the gate looks for:
    where it has had no success for three periods, nothing is acted on."""

    read: Callable[[], Sequence[ForeignSilence]]
    ledger: People
    name: str
    period: timedelta
    timeout: timedelta

    def ask(self, now: datetime) -> Sequence[Heard]:
        self.ledger.keep_silences(self.name, self.read())
        return ()
