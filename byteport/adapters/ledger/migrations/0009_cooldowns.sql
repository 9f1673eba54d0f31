-- When a runbook's cooldown on a target begins: with the last act of an incident that is open, and anew with the closing
-- of one that had acted. Null for one that never acted.
create function byteport.acted_last(i byteport.incidents) returns timestamptz language sql stable as $$
    select case when i.acted_at is not null then coalesce(
        i.closed_at, greatest(i.acted_at, (select max(n.begun_at) from byteport.intents n where n.incident = i.id))) end
$$;
