"""What a worker process owes while it lives: kept connections, a word to the ledger where it runs, and an eye on the
processes beside it that died with something in their hands."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog

from byteport.errors import BytePortError
from byteport.wiring import Wired
from workers.wakeups import wakeups

log: Any = structlog.get_logger("byteport.worker")

EVERY_SECONDS = 5.0
REGISTER_EVERY = 30.0  # who was not heard of for 45 s is not counted on


@dataclass
class Upkeep:
    """One process's duties. A connection that was lost is opened again before it is needed, while a slot is free."""

    wired: Wired
    missing: frozenset[str] | None = None
    registered_at: float = field(default=float("-inf"))

    def once(self) -> None:
        """Do what is due; never raises for a store or a database that is out of reach."""
        self._open()
        self._end_claims_of_the_dead()
        if monotonic() - self.registered_at >= REGISTER_EVERY:
            self._register()

    def _open(self) -> None:
        problems = self.wired.open()
        if frozenset(problems) != self.missing:
            for name, problem in problems.items():
                log.warning("connection_not_kept", database=name, error=str(problem))
            if not problems:
                log.info("connections_kept", databases=len(self.wired.settings.databases))
        self.missing = frozenset(problems)

    def _end_claims_of_the_dead(self) -> None:
        """Of processes of this machine, a killed child of this worker first of all: else it would have to lapse."""
        try:
            for due in self.wired.ledger.end_claims_of_the_dead():
                log.info("claim_of_a_dead_process_ended", incident=due.incident)
                wakeups().ring(due.incident, due.phase, wants_hands=due.wants_hands)
        except BytePortError as problem:
            log.warning("claims_not_looked_at", error=str(problem))

    def _register(self) -> None:
        try:
            self.wired.register()
            self.registered_at = monotonic()
        except BytePortError as problem:
            log.warning("not_registered", error=str(problem))

    def go_on(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(EVERY_SECONDS):
            try:
                self.once()
            except Exception:  # whatever it was: the next round is owed all the same
                log.exception("upkeep_failed")


def begin() -> None:
    """Once now, since a slot that is free at the start may be gone later; then every few seconds in a thread."""
    from workers.process import wired

    duties = Upkeep(wired())
    duties.once()
    threading.Thread(target=duties.go_on, name="upkeep", daemon=True).start()
