"""The last word on budgets: every spend counted again in the transaction that opens an intent, and their rebuild."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from byteport.adapters.ledger.base import Stored
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import clean
from byteport.errors import Overspent
from byteport.grammar.verdict import Claim, Grant, Verdict
from byteport.stores import Spend

_RECOUNT = """
select c.n, r.used, r.frees_at
from unnest(%(keys)s::text[], %(limits)s::bigint[], %(windows)s::float8[], %(amounts)s::bigint[])
     with ordinality as c (key, at_most, seconds, amount, n),
     lateral byteport.recount(c.key, %(intent)s, c.at_most, c.seconds, c.amount, %(now)s) as r
where r.used + c.amount > c.at_most
order by c.n limit 1
"""

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


def refuse_overspending(cursor: Cursor, intent: str, claims: Sequence[Claim], grant: Grant, now: datetime) -> None:
    """Raises Overspent on an outdated epoch, and for the first claim whose window has no room for its amount.

    Call it under the claims' advisory locks. What only counts is never refused, whatever granted it.
    """
    asking = [claim for claim in claims if not claim.counts_only]
    if claims and not asking:
        return
    epoch = _epoch(cursor)
    if epoch < 1 or grant.epoch != epoch:
        raise Overspent(_outdated(grant.epoch, epoch))
    cursor.execute(
        _RECOUNT,
        {
            "keys": [clean(claim.key) for claim in asking],
            "limits": [claim.limit for claim in asking],
            "windows": [claim.window_seconds for claim in asking],
            "amounts": [_amount(claims, c.key) for c in asking],
            "intent": intent,
            "now": now,
        },
    )
    if (over := cursor.fetchone()) is not None:
        raise Overspent(_overrun(asking[over["n"] - 1], over["used"], over["frees_at"]))


def spend(cursor: Cursor, intent: str, incident: str, claims: Sequence[Claim], now: datetime) -> None:
    """One spend a key, however many claims watch it: the largest amount, for the longest window."""
    for key in sorted({claim.key for claim in claims}):
        on_key = [claim for claim in claims if claim.key == key]
        windows = [claim.window_seconds for claim in on_key]
        first = on_key[0]
        cursor.execute(
            """
            insert into byteport.spends
                (claim_key, intent, incident, guard, kind, amount, at_most, window_seconds, spent_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict do nothing
            """,
            [
                clean(key),
                intent,
                incident,
                clean(first.guard),
                clean(first.kind),
                _amount(claims, key),
                min(claim.limit for claim in on_key),
                0.0 if 0.0 in windows else max(windows),
                now,
            ],
        )


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
