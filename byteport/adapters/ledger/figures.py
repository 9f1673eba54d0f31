"""Counts over all incidents, in one statement and one moment."""

from __future__ import annotations

from byteport.adapters.ledger.base import Stored
from byteport.records.figures import Figures

_FIGURES = """
with moment as materialized (select byteport.clock() as now), waiting as (
    select count(*) filter (where due_at < now - interval '60 seconds') as overdue,
           coalesce(extract(epoch from max(now - due_at)), 0)::float8 as due_lag_seconds
    from byteport.incidents, moment
    where phase <> 'closed' and due_at <= now and (lease_until is null or lease_until < now)
)
select now, overdue, due_lag_seconds,
       (select count(*) from byteport.deliveries where state = 'due' and due_at <= now) as deliveries_due,
       (select count(*) from byteport.deliveries where state = 'failed') as deliveries_failed,
       (select coalesce(jsonb_object_agg(phase, n), '{}') from
           (select phase, count(*) as n from byteport.incidents where phase <> 'closed' group by phase) p) as by_phase,
       (select coalesce(jsonb_object_agg(ending, n), '{}') from
           (select ending, sum(n) as n from byteport.endings group by ending having sum(n) <> 0) e) as by_ending,
       (select extract(epoch from now - max(last_seen))::float8 from byteport.targets where kind = 'database')
           as polled_seconds_ago,
       (select count(*) from byteport.pauses where ended_at is null) as pauses,
       (select coalesce(jsonb_object_agg(name, extract(epoch from succeeded_at)::float8), '{}') from byteport.pollers)
           as pollers
from moment, waiting
"""


class CountingLedger(Stored):
    """The part of the ledger that counts."""

    def figures(self) -> Figures:
        """How much of everything there is now; raises Unavailable."""
        return Figures.model_validate(self.row(_FIGURES))
