-- A runbook's storm as people hear of it: since when, how often they were told how it stands and when next, that it is
-- over, and that nothing of it is left. The storm itself is a matter of incidents (byteport.storm_until); this row only
-- remembers what was said of it.
create table byteport.storms (
    runbook  text primary key,
    began_at timestamptz not null,
    digests  integer not null default 0,
    next_at  timestamptz,
    over_at  timestamptz,
    ended_at timestamptz
);

-- A source that named a time before which it wants to be left alone.
alter table byteport.pollers add column not_before timestamptz;
