-- Which process holds a claim, so that the claim of one that is dead can be ended before it lapses: by a process of the
-- same machine, which can tell.
alter table byteport.incidents add column claimed_by text not null default '';
create index claims_by_holder on byteport.incidents (claimed_by text_pattern_ops) where claimed_by <> '' and phase <> 'closed';

-- Since when the sweeper has been ringing for it in vain, without a break of a minute.
alter table byteport.incidents add column rung_since timestamptz;

-- Until when the last attempt may still be under way at the target, whatever became of the process that began it.
alter table byteport.intents add column attempt_until timestamptz;

-- As before, and dated.
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
    update byteport.intents set attempts = attempts + 1, begun_at = coalesce(begun_at, now),
        attempt_until = now + lasts + interval '2 seconds'
    where key = intent_key;
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
