"""What calls for a move: the sweeper's list, and when it will next be longer."""

from __future__ import annotations

from datetime import timedelta

from byteport.adapters.ledger.base import Stored
from byteport.records.incident import Phase
from byteport.stores_abandoned import Due

GRACE = timedelta(seconds=1)

# Locks of open incidents are renewed on the way: while somebody sweeps, none of them lapses.
#
# What is due and what is looked at are two questions, each with an index of its own: asked as one, every incident that
# waits would be read.
#
# Only so many are woken as may be on their way and untaken. Those that were woken before and stayed untaken have a
# share of their own, so that they do not keep the others back. What is for hands is not counted: whether somebody has
# any is found out by ringing.
_FOR_HANDS = "(phase = 'act' or coalesce((state ->> 'wants_hands')::boolean, false))"
# With a lower bound the planner takes it for a narrow range and goes by the index; else it expects a third of all.
_IS_DUE = "phase <> 'closed' and due_at > '-infinity' and due_at <= (select now from t)"
# Whoever makes something due at once rings for it: only what has waited is nobody's but the sweeper's from the first.
_UNRUNG = "(due_at <= t.now - %(grace)s::interval or due_at > claimed_at + %(grace)s::interval)"
_IS_FREE = "(lease_until is null or lease_until <= t.now) and (driver = '' or driver_until < t.now)"
_WAKE = (
    """
with t as materialized (select byteport.clock() as now), renewed as (
    update byteport.locks set until = t.now + interval '15 minutes' from t
    where (key, incident) in (
        select l.key, l.incident from byteport.locks l join byteport.incidents i on i.id = l.incident, t
        where i.phase <> 'closed' and l.until < t.now + interval '12 minutes'
        for update of l skip locked
    )
), room as materialized (
    select greatest(0, %(untaken)s - count(*)) as free from (
        select woken_at, lease_until, phase, state from byteport.incidents
        where IS_DUE order by due_at limit 2000) d, t
    where woken_at > t.now - interval '3 seconds' and (lease_until is null or lease_until <= t.now) and not FOR_HANDS
), fresh as (
    select id from byteport.incidents i, t
    where IS_DUE and woken_at is null and not FOR_HANDS and IS_FREE and UNRUNG
    order by due_at limit least(%(most)s, (select free from room))
    for no key update of i skip locked
), again as (
    select id from byteport.incidents i, t
    where IS_DUE and woken_at <= t.now - %(again)s::interval
      and not FOR_HANDS and IS_FREE
    order by due_at limit least(%(most)s, (select free from room))
    for no key update of i skip locked
), hands as (
    select id from byteport.incidents i, t
    where IS_DUE and FOR_HANDS and IS_FREE and UNRUNG
      and (woken_at is null or woken_at <= t.now - %(again)s::interval)
    order by due_at limit %(most)s
    for no key update of i skip locked
), looking as (
    select id from byteport.incidents i, t
    where phase <> 'closed' and pending > 0 and due_at > t.now and IS_FREE
      and (claimed_at is null or claimed_at <= t.now - %(grace)s::interval)
      and (woken_at is null or woken_at <= t.now - %(again)s::interval)
      and exists (select from byteport.probe_groups g
                  where g.incident = i.id and g.round = i.round and byteport.to_send(g, t.now))
    order by due_at limit %(most)s
    for no key update of i skip locked
), found as (
    (select id from fresh union all select id from hands union all
     select id from again union all select id from looking) limit %(most)s
)
update byteport.incidents set woken_at = t.now, rung_since = case
        when woken_at > t.now - interval '60 seconds' then coalesce(rung_since, t.now) else t.now end
from found, t where incidents.id = found.id returning incidents.id, incidents.phase, incidents.due_at,
    coalesce((incidents.state ->> 'wants_hands')::boolean, false) as wants_hands,
    (incidents.state ->> 'wants_hands' = 'true' or incidents.phase = 'act')
        and incidents.rung_since <= t.now
            - case incidents.phase when 'act' then interval '5 minutes' else interval '60 seconds' end
        and not exists (select from byteport.processes where process like '%%:act'
                        and seen_at > t.now - interval '45 seconds') as unattended
""".replace("FOR_HANDS", _FOR_HANDS)
    .replace("IS_FREE", _IS_FREE)
    .replace("IS_DUE", _IS_DUE)
    .replace("UNRUNG", _UNRUNG)
)


class Waking(Stored):
    """The sweeper's questions."""

    def wake_due(
        self, limit: int = 500, again_after: timedelta = timedelta(seconds=10), untaken: int | None = None
    ) -> list[Due]:
        asked = {"most": limit, "again": again_after, "untaken": 10**9, "grace": timedelta(0)}
        if untaken is not None:
            asked |= {"untaken": untaken, "grace": GRACE}
        woken = self.rows(_WAKE, asked)
        ordered = sorted(woken, key=lambda row: row["due_at"])
        return [
            Due(
                incident=row["id"],
                phase=Phase(row["phase"]),
                wants_hands=bool(row["wants_hands"]),
                unattended=bool(row["unattended"]),
            )
            for row in ordered
        ]

    def next_due(self, within: timedelta) -> timedelta | None:
        found = self.row(
            """
            select min(due_at) - t.now as wait from byteport.incidents, (select byteport.clock() as now) t
            where phase <> 'closed' and due_at > t.now and due_at <= t.now + %s group by t.now
            """,
            [within],
        )
        wait: timedelta | None = found["wait"] if found else None
        return wait
