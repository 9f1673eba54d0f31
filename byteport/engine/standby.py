"""When the broker is gone nobody rings: the web process then carries escalations out and messages off, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

from byteport.engine.engine import Engine
from byteport.model.units import seconds
from byteport.records.incident import Phase

PATIENCE = seconds(60)
ERRAND = "standby"


@dataclass
class Standby:
    """Asks the broker, and steps in after `patience` without an answer. No other phase is moved and no target reached.

    `clock` is this process's own, in seconds: it measures an absence and is compared with nobody else's.
    """

    engine: Engine
    broker_answers: Callable[[], bool]
    patience: timedelta = PATIENCE
    clock: Callable[[], float] = monotonic
    gone_since: float | None = field(default=None, init=False)

    @property
    def steps_in(self) -> bool:
        """The broker has been gone for as long as is waited for it."""
        return self.gone_since is not None and self.clock() - self.gone_since >= self.patience.total_seconds()

    def once(self) -> int:
        """Look at the broker; how many incidents were moved and messages delivered. One process of all does it.

        Raises Unavailable when the ledger is gone too.
        """
        if self.broker_answers():
            self.gone_since = None
            return 0
        self.gone_since = self.clock() if self.gone_since is None else self.gone_since
        if not self.steps_in:
            return 0
        with self.engine.ledger.alone(ERRAND) as ours:
            return self._escalate() + self.engine.deliver_due() if ours else 0

    def _escalate(self) -> int:
        """One move of each escalation that is due. What is to be settled at a target waits for a worker."""
        due = [found.incident for found in self.engine.wake_due() if found.phase is Phase.ESCALATE]
        return sum(self.engine.stand_in(incident) is not None for incident in due)
