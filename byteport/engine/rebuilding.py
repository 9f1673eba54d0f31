"""The budgets store is made anew of what the ledger counts: after it forgot, and after a person's reset."""

from __future__ import annotations

from byteport.stores import Budgets, Ledger


def rebuild(ledger: Ledger, budgets: Budgets) -> None:
    """No intent opens meanwhile. Where the budgets cannot be reached their epoch is outdated from now on, so that they
    are made anew before they next grant anything. Raises Unavailable."""
    with ledger.begin_rebuild() as (epoch, spends):
        budgets.rebuild(epoch, spends)
