-- What people and sources have said counts: a clearing is a signal like any other, and a cancel holds at once.

-- A clearing is kept too, also where no incident is open for it; an alert may fire and clear under one event id.
alter table byteport.signals alter column incident drop not null;
alter table byteport.signals add column resolved boolean not null default false;
drop index byteport.one_signal_an_event;
create unique index one_signal_an_event on byteport.signals (source, event_id, resolved) where event_id is not null;
create index signals_of_nobody on byteport.signals (received_at) where incident is null;

-- As before, and no step begins once a person's `cancel` or `close` stands unread: whoever gave it was told that it
-- counts. An undo begins all the same, for it is what such a word calls for.
create or replace function byteport.begin_attempt(intent_key text, incident_id text, token text, attempts_read integer,
                                       lasts interval, of_runbook text) returns text language plpgsql as $$
declare
    claim record;
    known record;
    now timestamptz;
begin
    select phase, lease_token, lease_until, command into claim from byteport.incidents
    where id = incident_id for no key update;
    if not found or claim.phase = 'closed' or claim.lease_token is distinct from token then
        return 'stale';
    end if;
    select attempts, answered_at, outcome, direction into known from byteport.intents
    where key = intent_key and incident = incident_id for no key update;
    if not found then
        return 'unknown';
    end if;
    if known.direction = 'do' and claim.command in ('cancel', 'close') then
        return 'stale';
    end if;
    now := byteport.clock();
    if claim.lease_until is null or claim.lease_until < now + lasts + interval '2 seconds' then
        return 'stale';
    end if;
    if known.outcome is not null then
        return 'settled';
    end if;
    if known.answered_at is not null then
        return 'answered';
    end if;
    if known.attempts <> attempts_read then
        return 'stale';
    end if;
    if exists (select from byteport.pauses where ended_at is null and runbook in ('', of_runbook)) then
        return 'paused';
    end if;
    update byteport.intents set attempts = attempts + 1, begun_at = coalesce(begun_at, now) where key = intent_key;
    update byteport.spends set begun_at = now, reset_at = null where intent = intent_key and begun_at is null;
    update byteport.obligations set begun_at = now, by_at = now + obligations.lasts
    where intent = intent_key and begun_at is null;
    update byteport.incidents set acted_at = coalesce(acted_at, now) where id = incident_id;
    insert into byteport.events (incident, kind, text, data)
    select incident_id, 'attempt', move || ': attempt ' || attempts,
           jsonb_build_object('intent', key, 'step', step, 'direction', direction, 'move', move, 'attempt', attempts)
    from byteport.intents where key = intent_key;
    return 'begun';
end $$;

-- As before, and of an incident that is not there nothing is whole.
create or replace function byteport.first_broken(incident_id text) returns bigint language sql stable as $$
    with head as (
        select event_count, head_hash from byteport.incidents where id = incident_id
    ), numbered as (
        select e.*, row_number() over (order by seq) as n, lag(e.hash, 1, '') over (order by seq) as before
        from byteport.events e where e.incident = incident_id
    ), broken as (
        select n from numbered
        where seq <> n or previous <> before
           or hash <> byteport.event_hash(previous, incident, seq, at, kind, text, data)
    ), whole as (
        select count(*) as lines, coalesce((select hash from numbered order by seq desc limit 1), '') as last from numbered
    )
    select coalesce(
        (select min(n) from broken),
        (select least(lines, event_count) + 1 from whole, head where lines <> event_count),
        (select greatest(lines, 1) from whole, head where last <> head_hash),
        (select 1 where not exists (select from head))
    )
$$;
