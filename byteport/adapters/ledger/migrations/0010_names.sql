-- Subjects, and what a target is within, are kind:key everywhere. What was stored before gets the name that it has now, so
-- that no budget begins anew and no act of the past is mistaken for the last one on its subject.

create function byteport.named(old text) returns text language sql immutable as $$
    select case
        when old like 'pooler of %' then 'pooler:' || substr(old, 11)
        when old ~ '^[^/:]+/[^/]+/[A-Za-z]+/[^/]+$'
            then lower(split_part(old, '/', 3)) || ':' || split_part(old, '/', 1) || '/' || split_part(old, '/', 2)
                 || '/' || split_part(old, '/', 4)
        when old ~ '^[a-z][a-z_]*:' and old !~ '^[^:/]+:[0-9]+/' then old
        else 'database:' || old
    end
$$;

update byteport.intents set subject = byteport.named(subject)
where subject <> '' and action ->> 'kind' like 'byteport.actions.%';

update byteport.spends
set claim_key = split_part(claim_key, ':', 1) || ':' || byteport.named(substr(claim_key, strpos(claim_key, ':') + 1))
where claim_key like 'pgbouncer_reload:%' or claim_key like 'service_restarts:%';

-- The budgets store counts under the old names: it is made anew of the ledger before it grants anything.
update byteport.budgets_epoch set epoch = epoch + 1 where epoch > 0;

update byteport.targets set within = array(
    select case when name ~ '^[a-z][a-z_]*:.' and name !~ '^[^:]+:[0-9]+$' then name else 'server:' || name end
    from unnest(within) as name)
where kind = 'database';

update byteport.targets set within = array(select name from unnest(within) as name where name ~ '^[a-z][a-z_]*:.')
where kind <> 'database';

drop function byteport.named(text);
