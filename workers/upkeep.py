"""What a worker process owes while it lives: its kept connections open, and a word to the ledger where it runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog

from byteport.errors import BytePortError
from byteport.wiring import Wired

log: Any = structlog.get_logger("byteport.worker")

EVERY_SECONDS = 5.0
REGISTER_EVERY = 120.0  # the ledger forgets a silent process after 10 min


@dataclass
class Upkeep:
    """One process's duties. A connection that was lost is opened again before it is needed, while a slot is free."""

    wired: Wired
    missing: frozenset[str] | None = None
    registered_at: float = field(default=float("-inf"))

    def once(self) -> None:
        """Do what is due; never raises for a store or a database that is out of reach."""
        self._open()
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

    def _register(self) -> None:
        try:
            self.wired.register()
            self.registered_at = monotonic()
        except BytePortError as problem:
            log.warning("not_registered", error=str(problem))

    def go_on(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(EVERY_SECONDS):
            self.once()


def begin() -> None:
    """Once now, since a slot that is free at the start may be gone later; then every few seconds in a thread."""
    from workers.process import wired

    duties = Upkeep(wired())
    duties.once()
    threading.Thread(target=duties.go_on, name="upkeep", daemon=True).start()
