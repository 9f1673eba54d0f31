-- What an incident costs, once more: fewer statements, and each writes less.

-- A line locks the end of its chain and then rewrites it once; before, every line rewrote it twice.
create or replace function byteport.chain_event() returns trigger language plpgsql as $$
begin
    select h.event_count + 1, h.head_hash into new.seq, new.previous
    from byteport.journal_heads h where h.incident = new.incident for no key update;
    if not found then
        insert into byteport.journal_heads as h (incident, event_count, head_hash) values (new.incident, 0, '')
        on conflict (incident) do update set event_count = h.event_count  -- another's first line came first: waited for
        returning h.event_count + 1, h.head_hash into new.seq, new.previous;
    end if;
    new.at := byteport.clock();
    new.hash := byteport.event_hash(new.previous, new.incident, new.seq, new.at, new.kind, new.text, new.data);
    update byteport.journal_heads set event_count = new.seq, head_hash = new.hash where incident = new.incident;
    return new;
end $$;

create or replace function byteport.append_events(of_incident text, kinds text[], texts text[], datas jsonb[]) returns void
language plpgsql as $$
begin
    if cardinality(kinds) = 1 then
        insert into byteport.events (incident, kind, text, data) values (of_incident, kinds[1], texts[1], datas[1]);
    elsif cardinality(kinds) > 1 then
        insert into byteport.events (incident, kind, text, data)
        select of_incident, e.kind, e.txt, e.data
        from unnest(kinds, texts, datas) with ordinality as e (kind, txt, data, n) order by e.n;
    end if;
end $$;

-- A claim changes nothing that is indexed any more, so that it rewrites the row alone: what is claimed is due, and is found
-- among what is due.
drop index byteport.claims_by_holder;

-- What the next move of an incident will ask for, by its phase; each question sees what was committed until then.
create function byteport.known_of(of_incident text, its_phase text, unread boolean default true) returns jsonb
language plpgsql as $$
declare
    known jsonb := '{}';
begin
    if unread and its_phase <> 'open' then
        known := jsonb_build_object('answers', (
            select coalesce(jsonb_agg(to_jsonb(a)), '[]') from byteport.answers_of(of_incident) a));
    end if;
    if its_phase in ('act', 'verify', 'escalate', 'write_up') then
        known := known || jsonb_build_object('intents', (
            select coalesce(jsonb_agg(to_jsonb(n) order by n.opened_at, n.step, n.direction), '[]')
            from byteport.intents n where n.incident = of_incident));
    end if;
    if its_phase in ('escalate', 'write_up') then
        known := known || jsonb_build_object('owed', (
            select coalesce(jsonb_agg(to_jsonb(o) order by o.step desc), '[]') from byteport.obligations o
            where o.incident = of_incident and o.state = 'owed' and o.begun_at is not null));
    end if;
    if its_phase = 'write_up' then
        known := known || jsonb_build_object('events', (
            select coalesce(jsonb_agg(to_jsonb(e) order by e.seq), '[]') from byteport.events e where e.incident = of_incident));
    end if;
    return known;
end $$;

-- `claim`, and what the move will ask for.
create function byteport.claim_and_read(
    of_incident text, pages text[], holder text, of_driver text, phases text[], for_hands text[],
    out incident byteport.incidents, out known jsonb) language plpgsql as $$
begin
    select c.* into incident from byteport.claim(of_incident, pages, holder, of_driver, phases, for_hands) c;
    if incident.id is not null then
        known := byteport.known_of(of_incident, incident.phase);
    end if;
end $$;

-- `save_move` of a move that goes on, and what the next one will ask for.
create function byteport.save_and_read(m jsonb, out incident byteport.incidents, out known jsonb) language plpgsql as $$
begin
    select s.* into incident from byteport.save_move(m) s;
    if incident.id is not null then
        known := byteport.known_of(incident.id, incident.phase, (m ->> 'unread')::boolean);
    end if;
end $$;

-- As before, with what the next move will ask for beside the answers.
drop function byteport.store_and_claim;
create function byteport.store_and_claim(
    of_incident text, of_round integer, answered jsonb, pages text[], holder text, of_driver text, phases text[],
    for_hands text[], out stored boolean, out completes boolean, out its_phase text, out incident byteport.incidents,
    out known jsonb) language plpgsql as $$
begin
    select s.stored, s.completes, s.its_phase into stored, completes, its_phase
    from byteport.store_answers(of_incident, of_round, answered) s;
    if completes then
        select c.* into incident from byteport.claim(of_incident, pages, holder, of_driver, phases, for_hands) c;
        if incident.id is not null then
            known := byteport.known_of(of_incident, incident.phase);
        end if;
    end if;
end $$;

-- `open_intent` and `begin_intent` in one: all or nothing, so that what cannot begin was never opened. BP005: it is paused;
-- BP001: the claim has passed on or ends too soon. `word` as `open_intent` says it; begun, where it was opened here.
create function byteport.open_and_begin(
    m jsonb, lasts interval, of_runbook text, out word text, out n bigint, out used bigint, out frees_at timestamptz,
    out epoch bigint, out intent byteport.intents) language plpgsql as $$
declare
    opened record;
    begun text;
begin
    select o.* into opened from byteport.open_intent(m) o;
    word := opened.word;
    n := opened.n;
    used := opened.used;
    frees_at := opened.frees_at;
    epoch := opened.epoch;
    intent := opened.intent;
    if word = 'opened' then
        begun := byteport.begin_attempt(m ->> 'key', m ->> 'incident', m ->> 'token', 0, lasts, of_runbook);
        if begun = 'paused' then
            raise exception 'paused' using errcode = 'BP005';
        elsif begun <> 'begun' then
            raise exception 'the claim on % has passed on or ends too soon for an attempt', m ->> 'incident'
                using errcode = 'BP001';
        end if;
        select i.* into intent from byteport.intents i where i.key = m ->> 'key';
        word := begun;
    end if;
end $$;

-- What a group of signals finds, after its advisory locks are taken in the order in which they come: the events that are
-- known, the open incidents that are its own now (`locked`; all of them where it does not lock), all that are open, where
-- the targets are, and the promotions that stand.
create function byteport.look_in(
    locks text[], sources text[], event_ids text[], runbooks text[], keys text[], kinds text[], names text[], locking boolean,
    out known jsonb, out locked jsonb, out opened jsonb, out placed jsonb, out promoted jsonb, out now timestamptz)
language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(k, 1)) from unnest(locks) as k;
    if cardinality(event_ids) > 0 then
        known := (select jsonb_agg(to_jsonb(r)) from (
            select s.source, s.event_id, s.incident from byteport.signals s
            join unnest(sources, event_ids) as e (source, event_id)
              on s.source = e.source and s.event_id = e.event_id and s.resolved = false) r);
    end if;
    if locking then
        locked := (select jsonb_agg(to_jsonb(r)) from (
            select i.id, i.runbook, i.target_key, i.phase, i.mode, i.severity from byteport.incidents i
            join unnest(runbooks, keys) as f (runbook, target_key)
              on i.runbook = f.runbook and i.target_key = f.target_key and i.phase <> 'closed'
            order by i.id for no key update of i skip locked) r);
    end if;
    opened := (select jsonb_agg(to_jsonb(r)) from (
        select i.id, i.runbook, i.target_key, i.phase, i.mode, i.severity from byteport.incidents i
        join unnest(runbooks, keys) as f (runbook, target_key)
          on i.runbook = f.runbook and i.target_key = f.target_key and i.phase <> 'closed') r);
    placed := (select jsonb_agg(to_jsonb(r)) from (
        select t.kind, t.key, t.within, t.coordinates from byteport.targets t
        join unnest(kinds, names) as a (kind, key) on t.kind = a.kind and t.key = a.key) r);
    promoted := (select jsonb_agg(to_jsonb(r)) from (
        select distinct on (p.runbook) p.runbook, p.mode, p.live_since, p.who, p.why from byteport.promotions p
        order by p.runbook, p.id desc) r);
    now := byteport.clock();
end $$;

-- What a group of signals writes.
create function byteport.write_in(of_opened json, of_absorbed json, of_signals json, of_events json) returns void
language plpgsql as $$
begin
    if json_array_length(of_opened) > 0 then
        insert into byteport.incidents (id, runbook, page, target_kind, target_key, phase, mode, severity, due_at, opened_at,
                                        last_signal_at, signal, state)
        select n.id, n.runbook, n.page, n.kind, n.key, 'open', n.mode, n.severity, n.now, n.now, n.now, n.signal, n.state
        from json_to_recordset(of_opened) as n (id text, runbook text, page text, kind text, key text, mode text,
            severity text, now timestamptz, signal jsonb, state jsonb);
    end if;
    if json_array_length(of_absorbed) > 0 then
        update byteport.incidents i set
            signals_seen = signals_seen + n.heard, last_signal_at = byteport.clock(), clear_since = null,
            severity = n.severity,
            nudges = nudges + case when n.nudge then n.heard else 0 end,
            due_at = case when n.nudge then least(due_at, byteport.clock()) else due_at end,
            woken_at = case when n.nudge then null else woken_at end
        from json_to_recordset(of_absorbed) as n (id text, heard integer, severity text, nudge boolean) where i.id = n.id;
    end if;
    insert into byteport.signals (incident, source, event_id, resolved, received_at, signal)
    select n.incident, n.source, nullif(n.event_id, ''), false, byteport.clock(), n.signal
    from json_to_recordset(of_signals) as n (incident text, source text, event_id text, signal jsonb);
    insert into byteport.events (incident, kind, text, data)
    select n.incident, 'signal', n.text, n.data
    from json_to_recordset(of_events) as n (incident text, text text, data jsonb);
end $$;
