"""What is asked of the ledger about looks that closed incidents owe."""

from __future__ import annotations

from typing import Protocol

from byteport.records.incident import Incident
from byteport.stores_signals import Admission, Opening


class Looks(Protocol):
    """Raises Unavailable when the ledger cannot be reached."""

    def looks_due(self, limit: int = 20) -> list[Incident]:
        """The incidents whose look has fallen due (`due_at`) and was taken by nobody, the oldest first. Not where the
        page has an incident under way on the same target: that one ends, or people hear of it, before anybody looks
        again."""
        ...

    def take_look(self, incident_id: str, opening: Opening) -> Admission | None:
        """Open the incident that looks, and say so in both journals; or leave it to the open one that people have heard
        of (`absorbed`), which is not disturbed. One transaction, once whoever else takes it; None where it is not due,
        taken, or has to wait."""
        ...
