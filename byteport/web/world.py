"""What the HTTP service works with; the wiring's object for the role `web` is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from byteport.engine.intake import ByHand, Taken
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.engine.routing import Routing
from byteport.model.signal import Signal
from byteport.records.figures import Figures
from byteport.settings import Settings
from byteport.stores import Ledger
from byteport.stores_signals import Admission


class Takes(Protocol):
    """The engine as the service sees it: signals go in, nothing else."""

    def take(self, signal: Signal, by_hand: ByHand | None = None) -> Admission | None: ...
    def take_all(self, signals: Sequence[Signal]) -> list[Taken]: ...
    def ring_all(self, incidents: Sequence[str]) -> None: ...


class CountingLedger(Ledger, Protocol):
    """The ledger, and its counts over all incidents."""

    def figures(self) -> Figures: ...


class World(Protocol):
    """Everything that a request may touch. The service moves no incident and reaches no target."""

    @property
    def settings(self) -> Settings: ...
    @property
    def ledger(self) -> CountingLedger: ...
    @property
    def engine(self) -> Takes: ...
    @property
    def pages(self) -> Pages: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def routing(self) -> Routing: ...
