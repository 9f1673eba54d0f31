"""Signals that come over HTTP: taken in, or refused while too much is waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import structlog

from byteport.engine.intake import Taken
from byteport.engine.routing import Unrouted
from byteport.errors import BadInput
from byteport.model.base import Json
from byteport.model.signal import Signal
from byteport.sources.incoming import Heard, Malformed
from byteport.stores_signals import Admission
from byteport.web.answers import Refused
from byteport.web.bells import Bells
from byteport.web.figures import Counted, Heeded
from byteport.web.gathering import MOST_TOGETHER, Gathering
from byteport.web.world import World

log: Any = structlog.get_logger("byteport.web")
MOST_NAMED = 20


@dataclass
class _Told:
    """What became of one message's parts."""

    incidents: dict[str, None] = field(default_factory=dict)
    became: Counter[str] = field(default_factory=Counter)
    unrouted: list[Json] = field(default_factory=list)
    problems: list[Json] = field(default_factory=list)

    def hear(self, signal: Signal, taken: Taken) -> None:
        """What became of a signal. Raises what is no word of its sender's."""
        if isinstance(
            taken, BadInput
        ):  # the routes made what no page takes: theirs to mend, no reason to send it again
            self.became["unrouted"] += 1
            self.unrouted.append({"alert": signal.labels.get("alertname", signal.name), "why": str(taken)})
            return
        if isinstance(taken, Exception):
            raise taken
        self.became[_became(taken)] += 1
        if taken is not None:
            self.incidents[taken.incident] = None

    def answer(self) -> Json:
        first = self.problems[0] if self.problems else {}
        wrong: Json = {"error": "invalid", "detail": f"{first['field']}: {first['expected']}"} if first else {}
        more = {"problems": self.problems[:MOST_NAMED]} if first else {}
        return {
            **wrong,
            "taken": dict(self.became),
            "incidents": list(self.incidents),
            "unrouted": self.unrouted[:MOST_NAMED],
            **more,
        }


@dataclass(frozen=True)
class Reception:
    """`take` and `taken` answer only after the ledger has the signal."""

    world: World
    counted: Counted
    heeded: Heeded = field(default_factory=Heeded)

    @cached_property
    def bells(self) -> Bells:
        """Wakes workers for what is stored."""
        return Bells(self.world.engine.ring_all)

    @cached_property
    def gathering(self) -> Gathering:
        """Stores what comes at the same time together."""
        return Gathering(self._taken_together)

    def take(self, signal: Signal) -> Json:
        """{incident, absorbed, duplicate}; raises Refused(429) on a backlog, BadInput, Unavailable."""
        self._refuse_a_backlog()
        return self._answer(signal, self.world.engine.take(signal))

    async def taken(self, signal: Signal) -> Json:
        """The same, stored together with whatever else comes in at this moment."""
        return self._answer(signal, await self.gathering.take(signal))

    def take_all(self, source: str, heard: Sequence[Heard]) -> Json:
        """{taken: {opened, absorbed, …: n}, incidents, unrouted, problems?}: everything that can be taken is stored,
        whatever is wrong with the rest. Raises Refused(503), since some senders repeat after nothing else, and
        Unavailable; what was stored by then is known again by its event id when the message is sent once more."""
        self._refuse_a_backlog(503)
        told = _Told()
        signals = [signal for one in heard if (signal := self._routed(one, told)) is not None]
        for some in (signals[at : at + MOST_TOGETHER] for at in range(0, len(signals), MOST_TOGETHER)):
            for signal, became in zip(some, self._stored(some), strict=True):
                told.hear(signal, became)
        for word, number in told.became.items():
            self.heeded.count(source, word, number)
        if told.unrouted:
            names = Counter(line["alert"] for line in told.unrouted)
            log.info("alerts_unrouted", source=source, alerts=dict(names.most_common(MOST_NAMED)))
        return told.answer()

    def _routed(self, heard: Heard, told: _Told) -> Signal | None:
        """None for what is told already to be no signal."""
        if isinstance(heard, Malformed):
            told.became["malformed"] += 1
            told.problems.append({"field": heard.field, "expected": heard.expected})
            return None
        signal = heard if isinstance(heard, Signal) else self.world.routing.signal_of(heard)
        if isinstance(signal, Unrouted):
            told.became["unrouted"] += 1
            told.unrouted.append({"alert": signal.alert.name, "why": signal.why})
            return None
        return signal

    def _taken_together(self, signals: Sequence[Signal]) -> list[Taken]:
        self._refuse_a_backlog()
        return self._stored(signals)

    def _stored(self, signals: Sequence[Signal]) -> list[Taken]:
        taken = self.world.engine.take_all(signals)
        self.bells.ring([one.incident for one in taken if isinstance(one, Admission) and not one.absorbed])
        return taken

    def _answer(self, signal: Signal, admission: Admission | None) -> Json:
        self.heeded.count(signal.source, _became(admission))
        if admission is None:
            return {"incident": None, "absorbed": False, "duplicate": False, "resolved": True}
        return {**admission.model_dump(mode="json"), "resolved": False}

    def _refuse_a_backlog(self, status: int = 429) -> None:
        waiting, most = self.counted.recent().overdue, self.world.settings.web.backlog
        if waiting > most:
            detail = f"{waiting} incidents are overdue; send it again later"
            raise Refused(status, "backlog", detail, {"Retry-After": "30"})


def _became(admission: Admission | None) -> str:
    """A word for metrics and answers."""
    if admission is None:
        return "resolved"
    if admission.duplicate:
        return "duplicate"
    return "absorbed" if admission.absorbed else "opened"
