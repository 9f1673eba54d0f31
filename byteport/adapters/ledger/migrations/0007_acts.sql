-- How many members of a batch were asked for, where the budgets let fewer through; else 0.
alter table byteport.intents add column asked integer not null default 0;

-- A person's undo is found by looking at what earlier acts left behind, once for each act.

alter table byteport.intents add column subject text not null default '', add column lasting boolean not null default false;
create index intents_of_subject on byteport.intents (subject, begun_at) where subject <> '';

-- `intent` is the act that somebody undid, `incident` the one whose look showed it: that one tells people.
alter table byteport.vetoes add column intent text, add column incident text not null default '';
create unique index one_veto_an_act on byteport.vetoes (intent);

-- What this page did to this target and should still stand: lasting, done by us, the last thing that we did to its
-- subject, and not known to be undone by somebody.
create function byteport.lasting_acts(of_runbook text, of_target text) returns setof text language sql stable as $$
    select i.key from byteport.incidents c join byteport.intents i on i.incident = c.id
    where c.runbook = of_runbook and c.target_key = of_target and c.acted_at is not null
      and i.lasting and i.direction = 'do' and i.outcome ->> 'outcome' = 'done' and (i.outcome ->> 'ours')::boolean
      and not exists (select from byteport.vetoes v where v.intent = i.key)
      and not exists (select from byteport.intents later where later.subject = i.subject and later.begun_at > i.begun_at)
    order by i.key
$$;
