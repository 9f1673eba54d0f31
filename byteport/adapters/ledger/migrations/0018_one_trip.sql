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
