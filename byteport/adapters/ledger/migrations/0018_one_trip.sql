-- What every move says to the ledger, each in one round trip: a function does inside of the server what was a transaction
-- of many statements before, with the same locks in the same order.

-- As before, with one update for a line instead of a look and an update.
create or replace function byteport.chain_event() returns trigger language plpgsql as $$
declare
    head text;
    counted bigint;
begin
    select event_count, head_hash into counted, head from byteport.incidents where id = new.incident for no key update;
    if not found then
        raise exception 'no incident %', new.incident using errcode = 'foreign_key_violation';
    end if;
    new.seq := counted + 1;
    new.at := byteport.clock();
    new.previous := head;
    new.hash := byteport.event_hash(new.previous, new.incident, new.seq, new.at, new.kind, new.text, new.data);
    update byteport.incidents set event_count = new.seq, head_hash = new.hash where id = new.incident;
    return new;
end $$;

-- Lines at the end of an incident's chain, in this order.
create function byteport.append_events(of_incident text, kinds text[], texts text[], datas jsonb[]) returns void
language sql as $$
    insert into byteport.events (incident, kind, text, data)
    select of_incident, kind, txt, data from unnest(kinds, texts, datas) with ordinality as e (kind, txt, data, n) order by n
$$;

-- The end of a move, by who holds the claim: BP001 where that has passed on, BP002 where it would close over something
-- that is not settled. No row where a signal came while it was being closed: the claim ends, and the move is repeated.
-- `goes_on` keeps the claim for another move and reads with it whatever came meanwhile.
create function byteport.save_move(
    of_incident text, of_token text, read_version bigint, new_page text, new_phase text, new_mode text, new_ending text,
    new_reason text, new_state jsonb, new_due timestamptz, new_command text, new_command_by text, new_command_why text,
    first_acted timestamptz, first_escalated timestamptz, still_pending integer, is_locked boolean, lets_go boolean,
    kinds text[], texts text[], datas jsonb[], looks boolean, look_groups jsonb, look_lease double precision,
    look_deadline double precision, goes_on boolean) returns setof byteport.incidents language plpgsql as $$
declare
    known record;
    now timestamptz;
    open_ones text;
    groups integer := 0;
    due timestamptz := new_due;
    pends integer;
begin
    select id, phase, lease_token, version, round, pending, signals_seen, signals_read into known
    from byteport.incidents where id = of_incident for no key update;
    if not found or known.lease_token is distinct from of_token or known.phase = 'closed' then
        raise exception 'the claim on % has passed on', of_incident using errcode = 'BP001';
    end if;
    if known.version <> read_version then
        raise exception '% has moved on to version %, this is %', of_incident, known.version, read_version
            using errcode = 'BP001';
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
        insert into byteport.probe_groups (incident, round, grp, fields, lease_seconds)
        select of_incident, known.round + 1, g.name, array(select jsonb_array_elements_text(g.fields)), look_lease
        from jsonb_each(look_groups) as g (name, fields);
        get diagnostics groups = row_count;
        -- a round without a later date is due at its deadline; one that asks nobody is due at once
        due := case when groups = 0 then least(new_due, now) when new_due > now then new_due
                    else now + make_interval(secs => look_deadline) end;
        pends := groups;
    else
        -- what is still out, never more than the row has: answers came meanwhile; a phase that is left takes its round along
        pends := case when new_phase = known.phase then least(known.pending, still_pending) else 0 end;
    end if;
    if lets_go or new_phase = 'closed' then
        delete from byteport.locks where incident = of_incident;
    elsif is_locked then
        update byteport.locks set until = now + interval '15 minutes' where incident = of_incident;
    end if;
    perform byteport.append_events(of_incident, kinds, texts, datas) where cardinality(kinds) > 0;
    return query update byteport.incidents set
        page = new_page, phase = new_phase, mode = new_mode, round = known.round + looks::integer, pending = pends,
        ending = new_ending, reason = new_reason, version = version + 1, state = new_state,
        due_at = case when nudges > nudges_read then least(due, claimed_at) else due end,
        command = case when commands > commands_read then command else new_command end,
        command_by = case when commands > commands_read then command_by else new_command_by end,
        command_why = case when commands > commands_read then command_why else new_command_why end,
        acted_at = coalesce(acted_at, first_acted), escalated_at = coalesce(first_escalated, escalated_at),
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

-- The answers of groups of one round, each an object {group, token, now, text, late, data, answers: [{field, fact,
-- failure, duration_ms}]}. Of two answers to one question of a round the first stays. What was asked under a token that
-- is no longer the group's is kept and counts for nothing.
create function byteport.store_answers(
    of_incident text, of_round integer, answered jsonb, out stored boolean, out completes boolean, out its_phase text)
language plpgsql as $$
declare
    known record;
    one record;
    now timestamptz;
    counted boolean;
    added integer;
begin
    select round, pending, phase into known from byteport.incidents where id = of_incident for no key update;
    if not found then
        raise exception 'no incident %', of_incident using errcode = 'BP003';
    end if;
    now := byteport.clock();
    stored := false;
    its_phase := known.phase;
    for one in select * from jsonb_to_recordset(answered) as g (
        "group" text, token text, now timestamptz, text text, late text, data jsonb, answers jsonb)
    loop
        -- an answer is as old as the asking: its bearer may have stood still on the way here
        insert into byteport.evidence (incident, round, field, fact, failure, duration_ms, taken_at)
        select of_incident, of_round, a.field, coalesce(a.fact, 'null'), a.failure, a.duration_ms,
               least(now, one.now + make_interval(secs => a.duration_ms / 1000))
        from jsonb_to_recordset(one.answers) as a (field text, fact jsonb, failure jsonb, duration_ms double precision)
        on conflict do nothing;
        get diagnostics added = row_count;
        stored := stored or added > 0;
        update byteport.probe_groups set answered_at = now
        where incident = of_incident and round = of_round and grp = one."group" and token = one.token
          and answered_at is null;
        counted := found and known.round = of_round and known.pending > 0 and known.phase <> 'closed';
        if counted then
            known.pending := known.pending - 1;
        end if;
        if added > 0 and known.phase <> 'closed' then
            perform byteport.append_events(
                of_incident, array['answers'], array[one.text || case when counted then '' else one.late end],
                array[one.data || jsonb_build_object('counts', counted)]);
        end if;
        completes := coalesce(completes, false) or (counted and known.pending = 0);
    end loop;
    update byteport.incidents set pending = known.pending,
        nudges = nudges + completes::integer,
        due_at = case when completes then least(due_at, now) else due_at end,
        woken_at = case when completes then null else woken_at end
    where id = of_incident and pending > known.pending;
end $$;

-- All of a plan's locks or none. `wanted`: [{key, exclusive, capacity, guard}] in the order in which they are asked.
-- Nothing comes back where they were granted; else the first that was not: exclusive, nobody else may hold it; shared,
-- nobody exclusively; with a capacity, nobody exclusively and a place left under the smallest that any holder was granted.
create function byteport.take_locks(of_incident text, of_token text, wanted jsonb)
returns table (key text, guard text, holders text[], at_most integer) language plpgsql as $$
declare
    claim record;
    one record;
    now timestamptz;
begin
    perform pg_advisory_xact_lock(hashtextextended('lock:' || k, 1))
    from (select distinct w ->> 'key' as k from jsonb_array_elements(wanted) w order by 1) named;
    select phase, lease_token into claim from byteport.incidents where id = of_incident for no key update;
    if not found or claim.phase = 'closed' or claim.lease_token is distinct from of_token then
        raise exception 'the claim on % has passed on', of_incident using errcode = 'BP001';
    end if;
    now := byteport.clock();
    delete from byteport.locks l where l.until < now and l.key in (select w ->> 'key' from jsonb_array_elements(wanted) w);
    for one in
        select w.*, others.all_of_them, others.alone, others.least
        from rows from (jsonb_to_recordset(wanted) as (key text, exclusive boolean, capacity integer, guard text))
                with ordinality as w (key, exclusive, capacity, guard, n),
            lateral (
                select array_agg(l.incident order by l.since, l.incident) as all_of_them,
                       array_agg(l.incident order by l.since, l.incident) filter (where l.exclusive) as alone,
                       min(l.capacity) filter (where l.capacity > 0) as least
                from byteport.locks l where l.key = w.key and l.incident <> of_incident) others
        order by w.n
    loop
        key := one.key;
        guard := one.guard;
        at_most := case when one.capacity > 0 then least(one.capacity, one.least) else 1 end;
        holders := one.alone;
        if one.capacity > 0 then
            if holders is null and cardinality(one.all_of_them) >= at_most then
                holders := one.all_of_them;
            end if;
        elsif one.exclusive then
            holders := one.all_of_them;
        end if;
        if holders is not null then
            return next;
            return;
        end if;
    end loop;
    -- one row a key: exclusive where any of its claimants is; a capacity is no exclusion
    insert into byteport.locks as held (key, incident, exclusive, capacity, guard, since, until)
    select w.key, of_incident, bool_or(w.exclusive and w.capacity = 0), max(w.capacity), (array_agg(w.guard order by w.n))[1],
           now, now + interval '15 minutes'
    from rows from (jsonb_to_recordset(wanted) as (key text, exclusive boolean, capacity integer, guard text))
                with ordinality as w (key, exclusive, capacity, guard, n)
    group by w.key order by w.key
    on conflict on constraint locks_pkey do update
    set exclusive = held.exclusive or excluded.exclusive, capacity = excluded.capacity, until = excluded.until;
end $$;

-- The last word before anything is changed. Locks first (no rebuild meanwhile, nobody else on these claims), then the
-- claim, then the count. `word` is opened, known (it was opened before, and spends nothing more), outdated (the grant is
-- of another epoch than `epoch`) or overspent (the n-th of `asking` has `used` of its window). `spends`: [{key, guard,
-- kind, amount, at_most, seconds}], one a key; `asking`: [{key, at_most, seconds, amount}], those that may be refused.
create function byteport.open_intent(
    new_key text, of_incident text, of_token text, of_step integer, of_direction text, of_move text, the_action jsonb,
    the_claims jsonb, before jsonb, of_subject text, is_lasting boolean, were_asked integer, undo_id text, the_undo jsonb,
    undo_lasts interval, spends jsonb, asking jsonb, must_count boolean, granted_epoch bigint, told text, told_data jsonb,
    out word text, out n bigint, out used bigint, out frees_at timestamptz, out epoch bigint, out intent byteport.intents)
language plpgsql as $$
declare
    claim record;
    now timestamptz;
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('byteport.rebuild', 1));
    perform pg_advisory_xact_lock(hashtextextended('claim:' || k, 1))
    from (select s ->> 'key' as k from jsonb_array_elements(spends) s order by 1) named;
    select phase, lease_token into claim from byteport.incidents where id = of_incident for no key update;
    if not found or claim.phase = 'closed' or claim.lease_token is distinct from of_token then
        raise exception 'the claim on % has passed on', of_incident using errcode = 'BP001';
    end if;
    select * into intent from byteport.intents i where i.key = new_key;
    if found then
        word := 'known';
        return;
    end if;
    now := byteport.clock();
    if must_count then
        select e.epoch into epoch from byteport.budgets_epoch e;
        if coalesce(epoch, 0) < 1 or granted_epoch <> epoch then
            word := 'outdated';
            return;
        end if;
        select c.n, r.used, r.frees_at into n, used, frees_at
        from rows from (jsonb_to_recordset(asking) as (key text, at_most bigint, seconds double precision, amount bigint))
                 with ordinality as c (key, at_most, seconds, amount, n),
             lateral byteport.recount(c.key, new_key, c.at_most, c.seconds, c.amount, now) as r
        where r.used + c.amount > c.at_most order by c.n limit 1;
        if found then
            word := 'overspent';
            return;
        end if;
    end if;
    insert into byteport.intents (key, incident, step, direction, move, action, claims, pre_state, opened_at, subject, lasting, asked)
    values (new_key, of_incident, of_step, of_direction, of_move, the_action, the_claims, before, now, of_subject, is_lasting,
            were_asked)
    returning * into intent;
    insert into byteport.spends (claim_key, intent, incident, guard, kind, amount, at_most, window_seconds, spent_at)
    select s.key, new_key, of_incident, s.guard, s.kind, s.amount, s.at_most, s.seconds, now
    from jsonb_to_recordset(spends) as s (key text, guard text, kind text, amount integer, at_most integer, seconds double precision)
    order by s.key on conflict do nothing;
    if the_undo is not null then
        insert into byteport.obligations (id, incident, intent, step, move, undo, lasts, by_at)
        values (undo_id, of_incident, new_key, of_step, of_move, the_undo, undo_lasts, now + undo_lasts);
    end if;
    perform byteport.append_events(of_incident, array['intent'], array[told], array[told_data]);
    word := 'opened';
end $$;

-- `begin_attempt`, and the intent as it then stands.
create function byteport.begin_intent(
    intent_key text, of_incident text, of_token text, attempts_read integer, lasts interval, of_runbook text,
    out word text, out intent byteport.intents) language plpgsql as $$
begin
    word := byteport.begin_attempt(intent_key, of_incident, of_token, attempts_read, lasts, of_runbook);
    if word = 'begun' then
        select * into intent from byteport.intents i where i.key = intent_key;
    end if;
end $$;

-- How an intent ended, once; the first word counts. BP001 where an attempt has begun since it was read. What was never
-- begun is given back and owes no undo; `frees` names when nothing of ours is left to undo: always, unanswered or never.
create function byteport.settle_intent(
    intent_key text, of_incident text, attempts_read integer, the_outcome jsonb, the_effect jsonb, refunds boolean, frees text,
    told text, told_data jsonb) returns setof byteport.intents language plpgsql as $$
declare
    known byteport.intents;
    gives_back boolean;
begin
    -- the incident's lock comes first, as everywhere: no attempt begins meanwhile, and the journal's line needs it
    perform from byteport.incidents where id = of_incident for no key update;
    select * into known from byteport.intents where key = intent_key;
    if not found then
        raise exception 'no intent %', intent_key using errcode = 'BP004';
    end if;
    if known.outcome is not null then
        return next known;
        return;
    end if;
    if known.attempts <> attempts_read then
        raise exception 'attempt % of % has begun, this outcome is of %', known.attempts, intent_key, attempts_read
            using errcode = 'BP001';
    end if;
    gives_back := refunds or known.attempts = 0;
    update byteport.intents set outcome = the_outcome, settled_at = byteport.clock(), effect = coalesce(the_effect, effect)
    where key = intent_key returning * into known;
    if gives_back then
        update byteport.spends set refunded_at = byteport.clock() where intent = intent_key and refunded_at is null;
    end if;
    if known.attempts = 0 or frees = 'always' or (frees = 'unanswered' and known.answered_at is null) then
        update byteport.obligations set state = 'dropped', why = 'not our effect', settled_at = byteport.clock()
        where intent = intent_key and state = 'owed';
    end if;
    perform byteport.append_events(
        of_incident, array['settled'], array[told], array[told_data || jsonb_build_object('refund', gives_back)]);
    return next known;
end $$;
