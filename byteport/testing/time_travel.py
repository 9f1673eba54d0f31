"""Waits of minutes in a test of milliseconds."""

from __future__ import annotations

from byteport.adapters.ledger.travel import set_clock_forward


def travel(ledger_url: str, seconds: float) -> float:
    """Put that ledger's clock forward (back, where negative); returns its whole offset to the server's clock.

    Only for a ledger of a test's own: every lease, wait and window of every process on it moves along.
    """
    return set_clock_forward(ledger_url, seconds)
