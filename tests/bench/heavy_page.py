"""The benchmark's page with hands that need what hands at a host need, so that what a child imports is in its memory; a
turn takes a moment, so that every child gets its share of them."""

from __future__ import annotations

import time
from importlib import import_module

from tests.bench.pages import RUNBOOK, Patient

__all__ = ["READERS", "RUNBOOK", "WRITERS"]
TURN_SECONDS = 0.3


class Hands(Patient):
    def turn(self, valve: str) -> None:
        for name in ("hosts", "ssh", "system_units"):
            import_module(f"byteport.adapters.{name}")
        time.sleep(TURN_SECONDS)
        super().turn(valve)


READERS = {"bench": Patient}
WRITERS = {"bench": Hands}
