"""The last word on budgets: every spend counted again in the transaction that opens an intent, and their rebuild."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from byteport.adapters.ledger.base import Stored
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, clean
from byteport.errors import Overspent
from byteport.grammar.verdict import Claim, Grant, Verdict
from byteport.stores import Spend

# What is for ever ends with the incident that it was counted on.
_LIVE = """
select s.claim_key, s.intent, s.amount, s.window_seconds,
       greatest(extract(epoch from t.now - coalesce(s.begun_at, t.now)), 0)::float8 as age_seconds
from byteport.spends s, (select byteport.clock() as now) t
where byteport.counts_in(s, s.window_seconds, t.now)
  and not (s.window_seconds = 0 and right(s.claim_key, length(s.incident) + 1) = ':' || s.incident
           and not exists (select from byteport.incidents i where i.id = s.incident and i.phase <> 'closed'))
order by s.claim_key, s.spent_at
"""


class Recount(Stored):
    """Rebuilding the budgets store."""

    def budgets_epoch(self) -> int:
        return self.run(_epoch)

    @contextmanager
    def begin_rebuild(self) -> Iterator[tuple[int, list[Spend]]]:
        """The new epoch is committed before anything else, so that no epoch is ever given twice, whatever the rebuild
        comes to."""
        self.run(_next_epoch)
        with self.database.transaction() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtextextended('byteport.rebuild', 1))")
            epoch = _epoch(cursor)
            cursor.execute(_LIVE)
            spends = [Spend.model_validate(row) for row in cursor.fetchall()]
            yield epoch, spends


def asking(claims: Sequence[Claim]) -> list[Claim]:
    """Those that may be refused: what only counts never is, whatever granted it."""
    return [claim for claim in claims if not claim.counts_only]


def counted(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """As `open_intent` counts them again."""
    return [
        {
            "key": clean(claim.key), "at_most": claim.limit, "seconds": claim.window_seconds,
            "amount": _amount(claims, claim.key),
        }
        for claim in asking(claims)
    ]  # fmt: skip


def spent(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """One spend a key, however many claims watch it: the largest amount, for the longest window."""
    told = []
    for key in sorted({claim.key for claim in claims}):
        on_key = [claim for claim in claims if claim.key == key]
        windows = [claim.window_seconds for claim in on_key]
        told.append(
            {
                "key": clean(key), "guard": clean(on_key[0].guard), "kind": clean(on_key[0].kind),
                "amount": _amount(claims, key), "at_most": min(claim.limit for claim in on_key),
                "seconds": 0.0 if 0.0 in windows else max(windows),
            }
        )  # fmt: skip
    return told


def refusal_of(row: Row, claims: Sequence[Claim], grant: Grant) -> Overspent:
    """What `open_intent` has against it."""
    if row["word"] == "outdated":
        return Overspent(_outdated(grant.epoch, row["epoch"] or 0))
    return Overspent(_overrun(asking(claims)[row["n"] - 1], row["used"], row["frees_at"]))


def _amount(claims: Sequence[Claim], key: str) -> int:
    return max(claim.amount for claim in claims if claim.key == key)


def _next_epoch(cursor: Cursor) -> None:
    cursor.execute("update byteport.budgets_epoch set epoch = epoch + 1")


def _epoch(cursor: Cursor) -> int:
    cursor.execute("select epoch from byteport.budgets_epoch")
    row = cursor.fetchone()
    return int(row["epoch"]) if row else 0


def _outdated(granted: int, epoch: int) -> Verdict:
    return Verdict(
        guard="budgets_epoch",
        kind="precondition",
        allowed=False,
        limit=str(epoch),
        current=str(granted),
        on_hit="wait",
        lifts="once the budgets store is made anew of the ledger",
        reason=f"the budgets granted in epoch {granted}, the ledger is in epoch {epoch}",
    )


def _overrun(claim: Claim, used: int, frees_at: datetime | None) -> Verdict:
    reason = f"the ledger counts {used} of {claim.limit} used on {claim.key}, {claim.amount} asked"
    return claim.refusal(used, frees_at, reason)
