"""Storms as people hear of them: when one begins, how it stands at a few later times, and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from byteport.adapters.ledger.base import Stored, now_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.outbox import post
from byteport.adapters.ledger.rows import Row
from byteport.records.delivery import Message
from byteport.records.figures import StormRow, key_of

# It began with the first of the openings that were too many within five minutes.
_BEGUN = """
insert into byteport.storms as s (runbook, began_at, next_at)
select r.runbook, b.began_at, byteport.clock() + %(first)s::interval
from unnest(%(runbooks)s::text[]) as r (runbook),
     lateral (select byteport.storm_until(r.runbook, %(threshold)s, byteport.clock()) as until) f,
     lateral (select min(opened_at) as began_at from byteport.incidents
              where runbook = r.runbook and opened_at > f.until - interval '20 minutes') b
where f.until > byteport.clock()
on conflict (runbook) do update
set began_at = greatest(excluded.began_at, s.ended_at), digests = 0, next_at = excluded.next_at, over_at = null,
    ended_at = null
where s.ended_at is not null
"""

_OPEN = """
select s.*, coalesce(f.until <= byteport.clock(), true) as is_over,
       coalesce(s.next_at <= byteport.clock(), false) as is_due
from byteport.storms s,
     lateral (select byteport.storm_until(s.runbook, %(threshold)s, byteport.clock()) as until) f
where s.ended_at is null
order by s.runbook
"""
# Two that tend at once say it once: the second finds the row locked, and leaves it.
_MINE = f"{_OPEN} for no key update of s skip locked"

_STANDS = """
select count(*)::int as incidents, count(*) filter (where phase = 'closed')::int as closed,
       count(*) filter (where phase = 'escalate')::int as waiting, count(acted_at)::int as acted,
       (array_agg(target_kind || ':' || target_key order by opened_at, id))[1:5] as targets,
       (select array_agg(distinct d.channel order by d.channel) from byteport.deliveries d
        where d.dedup_key = %(key)s and d.created_at >= %(began_at)s) as channels
from byteport.incidents where runbook = %(runbook)s and opened_at >= %(began_at)s
"""


class Storms(Stored):
    """What the sweeper's housekeeping says of storms, and what people see of them."""

    def tend_storms(
        self, runbooks: Sequence[str], later: Sequence[timedelta], words: Callable[[StormRow], Sequence[Message]]
    ) -> int:
        """In one transaction: note the storms that have begun, and post how one stands whenever a time of `later`
        (after the last word) has come, that it is over, and that nothing of it is left. How many were told of."""

        def tend(cursor: Cursor) -> int:
            asked = {"runbooks": list(runbooks), "threshold": self.storm_threshold, "first": later[0]}
            cursor.execute(_BEGUN, asked)
            cursor.execute(_MINE, asked)
            due = [row for row in cursor.fetchall() if row["is_over"] or row["is_due"] or row["over_at"]]
            return sum(_tended(cursor, row, later, words) for row in due)

        return self.run(tend)

    def storms(self) -> list[StormRow]:
        """Those of which something is left, the storm itself or incidents of it."""

        def listed(cursor: Cursor) -> list[StormRow]:
            cursor.execute(_OPEN, {"threshold": self.storm_threshold})
            return [_stands(cursor, row) for row in cursor.fetchall()]

        return self.run(listed)


def _tended(
    cursor: Cursor, row: Row, later: Sequence[timedelta], words: Callable[[StormRow], Sequence[Message]]
) -> bool:
    storm, now = _stands(cursor, row), now_of(cursor)
    kept = {"digests": row["digests"], "next_at": row["next_at"], "over_at": row["over_at"], "ended_at": None}
    if storm.is_over:
        news = storm.left == 0 or row["over_at"] is None
        kept |= {"over_at": row["over_at"] or now, "next_at": None, "ended_at": None if storm.left else now}
    else:  # also one that comes back before all that it left was closed: that it is over is said once
        news = row["is_due"]
        said = row["digests"] + bool(news)
        following = now + later[said] if said < len(later) else None
        kept |= {"digests": said, "next_at": following if news or row["next_at"] is None else row["next_at"]}
    if news:
        post(cursor, None, words(storm))
    cursor.execute(
        "update byteport.storms set digests = %(digests)s, next_at = %(next_at)s, over_at = %(over_at)s, "
        "ended_at = %(ended_at)s where runbook = %(runbook)s",
        {**kept, "runbook": row["runbook"]},
    )
    return bool(news)


def _stands(cursor: Cursor, row: Row) -> StormRow:
    cursor.execute(_STANDS, {**row, "key": key_of(row["runbook"])})
    counted = cursor.fetchone() or {}
    told = {name: row[name] for name in ("runbook", "began_at", "digests", "is_over")}
    lists = {name: counted.get(name) or () for name in ("targets", "channels")}
    return StormRow.model_validate({**told, **counted, **lists})
