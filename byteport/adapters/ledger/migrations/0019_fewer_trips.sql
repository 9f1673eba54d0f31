-- What an incident costs, once more: fewer statements, and each writes less.

-- Not immutable by PostgreSQL's rules, for it turns values into text; as stable it is a part of the statement that asks.
alter function byteport.event_hash stable;

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

-- The end of a move, as before, from one object: what its parts were taken out for cost more than what is done with them.
drop function byteport.save_move(jsonb);
drop function byteport.save_move(
    text, text, bigint, text, text, text, text, text, jsonb, timestamptz, text, text, text, timestamptz, timestamptz, integer, boolean, boolean, text[], text[], jsonb[], boolean, jsonb, double precision, double precision, jsonb, jsonb, text, boolean, boolean);
create function byteport.save_move(m jsonb) returns setof byteport.incidents language plpgsql as $$
declare
    of_incident constant text := m ->> 'id';
    new_phase constant text := m ->> 'phase';
    new_due constant timestamptz := (m ->> 'due_at')::timestamptz;
    goes_on constant boolean := (m ->> 'goes_on')::boolean;
    looks constant boolean := (m ->> 'looks')::boolean;
    lease constant double precision := (m ->> 'lease')::double precision;
    tokens constant jsonb := m -> 'tokens';
    known record;
    now timestamptz;
    open_ones text;
    groups integer := 0;
    due timestamptz := new_due;
    pends integer;
begin
    select id, phase, lease_token, version, round, pending, signals_seen, signals_read into known
    from byteport.incidents where id = of_incident for no key update;
    if not found or known.lease_token is distinct from m ->> 'token' or known.phase = 'closed' then
        raise exception 'the claim on % has passed on', of_incident using errcode = 'BP001';
    end if;
    if known.version <> (m ->> 'version')::bigint then
        raise exception '% has moved on to version %, this is %', of_incident, known.version, m ->> 'version'
            using errcode = 'BP001';
    end if;
    if not (m ->> 'at_once')::boolean then
        perform byteport.not_at_once();
    end if;
    now := byteport.clock();
    if new_phase = 'closed' then
        select string_agg(what, ', ') into open_ones from (
            select 'intent ' || move || ' (' || key || ')' as what from byteport.intents
            where incident = of_incident and outcome is null
            union all
            select 'undo of ' || move || ' (' || id || ')' from byteport.obligations
            where incident = of_incident and state = 'owed' and begun_at is not null) o;
        if open_ones is not null then
            raise exception '% cannot be closed over %', of_incident, open_ones using errcode = 'BP002';
        end if;
        if known.signals_seen > known.signals_read then
            update byteport.incidents set lease_token = null, lease_until = null, claimed_by = '', woken_at = null,
                claims_in_vain = 0, due_at = least(due_at, now)
            where id = of_incident;
            return;
        end if;
    end if;
    if looks then
        insert into byteport.probe_groups (
            incident, round, grp, fields, lease_seconds, token, sent_at, sendings, taken_until)
        select of_incident, known.round + 1, g.name, array(select jsonb_array_elements_text(g.fields)), lease,
            tokens ->> g.name, case when tokens ? g.name then now end, (tokens ? g.name)::integer,
            case when tokens ? g.name then now + make_interval(secs => lease) end
        from jsonb_each(m -> 'groups') as g (name, fields);
        get diagnostics groups = row_count;
        -- a round without a later date is due at its deadline; one that asks nobody is due at once
        due := case when groups = 0 then least(new_due, now) when new_due > now then new_due
                    else now + make_interval(secs => (m ->> 'deadline')::double precision) end;
        pends := groups;
    else
        -- what is still out, never more than the row has: answers came meanwhile; a phase that is left takes its round along
        pends := case when new_phase = known.phase then least(known.pending, (m ->> 'pending')::integer) else 0 end;
    end if;
    if (m ->> 'lets_go')::boolean or new_phase = 'closed' then
        delete from byteport.locks where incident = of_incident;
    elsif (m ->> 'locked')::boolean then
        update byteport.locks set until = now + interval '15 minutes' where incident = of_incident;
    end if;
    insert into byteport.events (incident, kind, text, data)
    select of_incident, e.line ->> 'kind', e.line ->> 'text', e.line -> 'data'
    from jsonb_array_elements(m -> 'events') with ordinality as e (line, n) order by e.n;
    if jsonb_typeof(m -> 'story') = 'object' then
        insert into byteport.postmortems (incident, record, markdown, written_at)
        values (of_incident, m -> 'story', m ->> 'story_text', now)
        on conflict (incident) do update
        set record = excluded.record, markdown = excluded.markdown, written_at = excluded.written_at;
    end if;
    return query update byteport.incidents set
        page = m ->> 'page', phase = new_phase, mode = m ->> 'mode', round = known.round + looks::integer, pending = pends,
        ending = m ->> 'ending', reason = m ->> 'reason', version = version + 1, state = m -> 'state',
        due_at = case when nudges > nudges_read then least(due, claimed_at) else due end,
        command = case when commands > commands_read then command else m ->> 'command' end,
        command_by = case when commands > commands_read then command_by else m ->> 'command_by' end,
        command_why = case when commands > commands_read then command_why else m ->> 'command_why' end,
        acted_at = coalesce(acted_at, (m ->> 'acted_at')::timestamptz),
        escalated_at = coalesce((m ->> 'escalated_at')::timestamptz, escalated_at),
        closed_at = case when new_phase = 'closed' then now end, woken_at = null,
        lease_token = case when goes_on then lease_token end,
        lease_until = case when goes_on then now + interval '40 seconds' end,
        claimed_by = case when goes_on then claimed_by else '' end,
        claimed_at = case when goes_on then now else claimed_at end,
        claims_in_vain = goes_on::integer,
        nudges_read = case when goes_on then nudges else nudges_read end,
        signals_read = case when goes_on then signals_seen else signals_read end,
        commands_read = case when goes_on then commands else commands_read end,
        driver_until = case when driver <> '' then now + interval '60 seconds' end
    where id = of_incident
    returning *;
end $$;

-- Whether so many were opened at all is asked first, which is no and costs little but in a storm.
create or replace function byteport.storm_until(of_runbook text, at_most integer, now timestamptz) returns timestamptz
language sql stable as $$
    with since as (
        select greatest(now - interval '15 minutes',
                        (select max(at) from byteport.storms_ended where runbook = of_runbook)) as at
    ), opened as (
        select opened_at, lag(opened_at, at_most) over (order by opened_at) as earlier
        from byteport.incidents, since where runbook = of_runbook and opened_at > since.at
    )
    select case when (
            select count(*) from (
                select from byteport.incidents, since where runbook = of_runbook and opened_at > since.at limit at_most + 1) as n
        ) > at_most
        then (select max(earlier) + interval '15 minutes' from opened where opened_at - earlier < interval '5 minutes') end
$$;

-- A claim changes nothing that is indexed any more, so that it rewrites the row alone: what is claimed is due, and is found
-- among what is due.
drop index byteport.claims_by_holder;

-- What the next move of an incident will ask for, by its phase; each question sees what was committed until then.
create function byteport.known_of(
    of_incident text, its_phase text, unread boolean, out answers json, out intents json, out owed json, out events json)
language plpgsql as $$
begin
    if unread and its_phase <> 'open' then
        answers := (select coalesce(json_agg(to_json(a)), '[]') from byteport.answers_of(of_incident) a);
    end if;
    if its_phase in ('act', 'escalate', 'write_up') then
        intents := (
            select coalesce(json_agg(to_json(n) order by n.opened_at, n.step, n.direction), '[]')
            from byteport.intents n where n.incident = of_incident);
    end if;
    if its_phase in ('escalate', 'write_up') then
        owed := (
            select coalesce(json_agg(to_json(o) order by o.step desc), '[]') from byteport.obligations o
            where o.incident = of_incident and o.state = 'owed' and o.begun_at is not null);
    end if;
    if its_phase = 'write_up' then
        events := (
            select coalesce(json_agg(to_json(e) order by e.seq), '[]') from byteport.events e where e.incident = of_incident);
    end if;
end $$;

-- `claim`, and what the move will ask for.
create function byteport.claim_and_read(
    of_incident text, pages text[], holder text, of_driver text, phases text[], for_hands text[],
    out incident byteport.incidents, out answers json, out intents json, out owed json, out events json)
language plpgsql as $$
begin
    select c.* into incident from byteport.claim(of_incident, pages, holder, of_driver, phases, for_hands) c;
    if incident.id is not null then
        select k.* into answers, intents, owed, events from byteport.known_of(of_incident, incident.phase, true) k;
    end if;
end $$;

-- `save_move` of a move that goes on, and what the next one will ask for.
create function byteport.save_and_read(
    m jsonb, out incident byteport.incidents, out answers json, out intents json, out owed json, out events json)
language plpgsql as $$
begin
    select s.* into incident from byteport.save_move(m) s;
    if incident.id is not null then
        select k.* into answers, intents, owed, events
        from byteport.known_of(incident.id, incident.phase, (m ->> 'unread')::boolean) k;
    end if;
end $$;

-- As before, with whatever else the next move will ask for beside the answers.
drop function byteport.store_and_claim;
create function byteport.store_and_claim(
    of_incident text, of_round integer, answered jsonb, pages text[], holder text, of_driver text, phases text[],
    for_hands text[], out stored boolean, out completes boolean, out its_phase text, out incident byteport.incidents,
    out answers json, out intents json, out owed json, out events json) language plpgsql as $$
begin
    select s.stored, s.completes, s.its_phase into stored, completes, its_phase
    from byteport.store_answers(of_incident, of_round, answered) s;
    if completes then
        select c.* into incident from byteport.claim(of_incident, pages, holder, of_driver, phases, for_hands) c;
        if incident.id is not null then
            select k.* into answers, intents, owed, events from byteport.known_of(of_incident, incident.phase, true) k;
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
    out known json, out locked json, out opened json, out placed json, out promoted json, out now timestamptz)
language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(k, 1)) from unnest(locks) as k;
    if cardinality(event_ids) > 0 then
        known := (select json_agg(to_json(r)) from (
            select s.source, s.event_id, s.incident from byteport.signals s
            join unnest(sources, event_ids) as e (source, event_id)
              on s.source = e.source and s.event_id = e.event_id and s.resolved = false) r);
    end if;
    if locking then
        locked := (select json_agg(to_json(r)) from (
            select i.id, i.runbook, i.target_key, i.phase, i.mode, i.severity from byteport.incidents i
            join unnest(runbooks, keys) as f (runbook, target_key)
              on i.runbook = f.runbook and i.target_key = f.target_key and i.phase <> 'closed'
            order by i.id for no key update of i skip locked) r);
    end if;
    opened := (select json_agg(to_json(r)) from (
        select i.id, i.runbook, i.target_key, i.phase, i.mode, i.severity from byteport.incidents i
        join unnest(runbooks, keys) as f (runbook, target_key)
          on i.runbook = f.runbook and i.target_key = f.target_key and i.phase <> 'closed') r);
    placed := (select json_agg(to_json(r)) from (
        select t.kind, t.key, t.within, t.coordinates from byteport.targets t
        join unnest(kinds, names) as a (kind, key) on t.kind = a.kind and t.key = a.key) r);
    promoted := (select json_agg(to_json(r)) from (
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
