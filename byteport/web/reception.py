"""Signals that come over HTTP: taken in, or refused while too much is waiting."""

from __future__ import annotations

from dataclasses import dataclass

from byteport.model.base import Json
from byteport.model.signal import Signal
from byteport.web.answers import Refused
from byteport.web.figures import Counted
from byteport.web.world import World


@dataclass(frozen=True)
class Reception:
    """`take` answers only after the ledger has the signal."""

    world: World
    counted: Counted

    def take(self, signal: Signal) -> Json:
        """{incident, absorbed, duplicate}; raises Refused(429) on a backlog, BadInput, Unavailable."""
        waiting, most = self.counted.recent().overdue, self.world.settings.web.backlog
        if waiting > most:
            detail = f"{waiting} incidents are overdue; send it again later"
            raise Refused(429, "backlog", detail, {"Retry-After": "30"})
        admission = self.world.engine.take(signal)
        if admission is None:
            return {"incident": None, "absorbed": False, "duplicate": False, "resolved": True}
        return {**admission.model_dump(mode="json"), "resolved": False}
