"""What stands in the way now: budgets in use, cooldowns, locks; and people's resets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored, advise, now_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import clean
from byteport.errors import BadInput
from byteport.records.standing import GuardRow, Reset

COOLDOWN = "runbook_cooldown:"

# What is for ever ends with the incident that it was counted on. A lock of the smallest capacity binds all its holders.
# The spends that may count are looked for window by window, never all that were ever spent.
_ROWS = """
with recursive t as materialized (select byteport.clock() as now), lengths as (
    (select min(window_seconds) as seconds from byteport.spends
     where window_seconds > 0 and refunded_at is null and reset_at is null)
    union all
    (select (select min(window_seconds) from byteport.spends
             where window_seconds > lengths.seconds and window_seconds > 0 and refunded_at is null and reset_at is null)
     from lengths where lengths.seconds is not null)
), under_way as materialized (
    select n.* from byteport.incidents i cross join lateral (
        select key, incident, begun_at from byteport.intents where incident = i.id offset 0) n
    where i.phase <> 'closed'
), counting as (
    select s.* from t, lengths l cross join lateral (
        select * from byteport.spends where window_seconds = l.seconds and window_seconds > 0
            and refunded_at is null and reset_at is null and begun_at > t.now - make_interval(secs => l.seconds)
        union all
        select * from byteport.spends where window_seconds = l.seconds and window_seconds > 0
            and refunded_at is null and reset_at is null and begun_at is null) s
    union all
    select * from byteport.spends where window_seconds = 0 and refunded_at is null and reset_at is null
        and right(claim_key, length(incident) + 1) <> ':' || incident
    union all
    select s.* from under_way n cross join lateral (
        select * from byteport.spends where intent = n.key and incident = n.incident and window_seconds = 0
            and refunded_at is null and reset_at is null
            and right(claim_key, length(incident) + 1) = ':' || incident offset 0) s
), acted as (
    select i.id, i.runbook, i.target_key, c.seconds,
        greatest(i.acted_at, n.begun_at) as last
    from unnest(%(runbooks)s::text[], %(seconds)s::float8[]) as c (runbook, seconds)
    join byteport.incidents i on i.runbook = c.runbook and i.phase <> 'closed' and i.acted_at is not null
    left join (select incident, max(begun_at) as begun_at from under_way group by incident) n on n.incident = i.id
    union all
    select i.id, i.runbook, i.target_key, c.seconds, i.closed_at
    from unnest(%(runbooks)s::text[], %(seconds)s::float8[]) as c (runbook, seconds), t,
        byteport.incidents i
    where i.runbook = c.runbook and i.phase = 'closed' and i.acted_at is not null
        and i.closed_at > t.now - make_interval(secs => c.seconds)
        and i.closed_at > t.now - make_interval(secs => (select max(s) from unnest(%(seconds)s::float8[]) s))
), standing as (
    select s.claim_key as key, (array_agg(s.kind order by s.spent_at desc))[1] as kind, sum(s.amount)::int as used,
           (array_agg(s.at_most order by s.spent_at desc))[1] as at_most,
           string_agg(distinct s.incident, ', ') as holder,
           min(coalesce(s.begun_at, t.now) + make_interval(secs => s.window_seconds))
               filter (where s.window_seconds > 0) as frees_at
    from counting s, t
    group by s.claim_key
    union all
    select %(cooldown)s || runbook || ':' || target_key, 'cooldown', 1, 1, (array_agg(id order by last desc))[1],
           max(last) + make_interval(secs => seconds)
    from acted, t where last > t.now - make_interval(secs => seconds)
    group by runbook, target_key, seconds
    union all
    select l.key, case when max(l.capacity) > 0 then 'capacity' when bool_or(l.exclusive) then 'lock'
                  else 'shared_lock' end, count(*)::int,
           case when max(l.capacity) > 0 then min(l.capacity) filter (where l.capacity > 0)
                when bool_or(l.exclusive) then 1 end,
           string_agg(l.incident, ', ' order by l.since, l.incident), min(l.until)
    from byteport.locks l, t where l.until >= t.now
    group by l.key
)
select key, kind, used, at_most as "limit", holder, frees_at,
       case when frees_at > t.now then extract(epoch from frees_at - t.now)::float8
            when frees_at is not null then 0 end as seconds_left
from standing, t order by key, kind
"""

_IN_USE = """
select bool_and(s.window_seconds = 0 and right(s.claim_key, length(s.incident) + 1) = ':' || s.incident) as is_own
from byteport.spends s where s.claim_key = %(key)s and byteport.counts_in(s, s.window_seconds, %(now)s)
having count(*) > 0
"""

_HOLDER = """
select string_agg(incident, ', ' order by since) as holder from byteport.locks where key = %(key)s and until >= %(now)s
"""

_RESET = """
with ended as (
    update byteport.spends s set reset_at = %(now)s
    where s.claim_key = %(key)s and byteport.counts_in(s, s.window_seconds, %(now)s) returning 1
)
insert into byteport.guard_resets (claim_key, who, why, at, spends)
select %(key)s, %(who)s, %(why)s, %(now)s, count(*) from ended returning spends
"""


class Guarding(Stored):
    """The part of the ledger that lists guards and takes a person's word on one."""

    def guard_rows(self, cooldowns: Mapping[str, timedelta] | None = None) -> list[GuardRow]:
        known = cooldowns or {}
        seconds = [length.total_seconds() for length in known.values()]
        found = self.rows(_ROWS, {"cooldown": COOLDOWN, "runbooks": list(known), "seconds": seconds})
        return [GuardRow.model_validate(row) for row in found]

    def resets(self, limit: int = 50) -> list[Reset]:
        found = self.rows(
            "select claim_key as key, who, why, at, spends from byteport.guard_resets order by id desc limit %s",
            [limit],
        )
        return [Reset.model_validate(row) for row in found]

    def reset_guard(self, claim_key: str, who: str, why: str) -> int:
        key = clean(claim_key)

        def reset(cursor: Cursor) -> int:
            advise(cursor, "claim", [key])
            told = {"key": key, "who": clean(who), "why": clean(why), "now": now_of(cursor)}
            _refuse_what_cannot(cursor, told)
            cursor.execute(_RESET, told)
            return int(cursor.fetchall()[0]["spends"])

        return self.run(reset)


def _refuse_what_cannot(cursor: Cursor, told: Mapping[str, Any]) -> None:
    """Raises BadInput that says why this key is not for resetting."""
    key = told["key"]
    if key.startswith(COOLDOWN):
        because = "a runbook's own cooldown counts from its last act, and a person's own run need not wait for it"
        raise BadInput("guard", f"a budget; {because}")
    cursor.execute(_IN_USE, told)
    if (found := cursor.fetchone()) is not None:
        if found["is_own"]:
            raise BadInput("guard", f"a budget; {key} is the ceiling of one incident and ends with it, never before")
        return
    cursor.execute(_HOLDER, told)
    if (holder := cursor.fetchall()[0]["holder"]) is not None:
        raise BadInput(
            "guard", f"a budget; {key} is a lock and held by {holder} until that lets go: close or cancel it"
        )
    raise BadInput("guard", f"a counter that is in use (see byteport guards list), got {key!r}")
