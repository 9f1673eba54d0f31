"""`byteport.enqueue`: a signal put in from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byteport.model.signal import Signal

if TYPE_CHECKING:
    from byteport.settings import Settings


def enqueue(signal: Signal, settings: Settings | None = None) -> str:
    """Store the signal and return the id of the incident that it opened or was absorbed by.

    Returned means durable. A `resolved` signal opens nothing and returns an empty text. Raises BadSignal (no enabled
    runbook claims it), BadConfiguration, and Unavailable (nothing was stored: try again).
    """
    from byteport.settings import Settings
    from byteport.wiring import build

    with build(settings or Settings.load(), role="intake") as world:
        admission = world.engine.take(signal)
    return admission.incident if admission is not None else ""
