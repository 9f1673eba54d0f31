-- What every move says to the ledger, each in one round trip: a function does inside of the server what was a transaction
-- of many statements before, with the same locks in the same order.

-- The end of each journal, in rows of their own: a line rewrites this and not the whole incident.
create table byteport.journal_heads (
    incident    text primary key references byteport.incidents on delete cascade,
    event_count bigint not null,
    head_hash   text not null
) with (fillfactor = 50);
insert into byteport.journal_heads (incident, event_count, head_hash) select id, event_count, head_hash from byteport.incidents;
alter table byteport.incidents drop column event_count, drop column head_hash;

create or replace function byteport.chain_event() returns trigger language plpgsql as $$
begin
    insert into byteport.journal_heads as h (incident, event_count, head_hash) values (new.incident, 0, '')
    on conflict (incident) do update set event_count = h.event_count  -- locks it: lines of one journal come one by one
    returning h.event_count + 1, h.head_hash into new.seq, new.previous;
    new.at := byteport.clock();
    new.hash := byteport.event_hash(new.previous, new.incident, new.seq, new.at, new.kind, new.text, new.data);
    update byteport.journal_heads set event_count = new.seq, head_hash = new.hash where incident = new.incident;
    return new;
end $$;

create or replace function byteport.first_broken(incident_id text) returns bigint language sql stable as $$
    with head as (
        select coalesce(h.event_count, 0) as event_count, coalesce(h.head_hash, '') as head_hash
        from byteport.incidents i left join byteport.journal_heads h on h.incident = i.id where i.id = incident_id
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

-- Decisions may be lost with the database server, and are then made again: they need not wait for the disk. Whatever is
-- begun, answered, settled, told or taken in does, and with it everything that was written before.
create function byteport.not_at_once() returns void language sql as $$
    select set_config('synchronous_commit', 'off', true)
    where current_setting('synchronous_commit') <> 'off'
$$;

-- Lines at the end of an incident's chain, in this order.
create function byteport.append_events(of_incident text, kinds text[], texts text[], datas jsonb[]) returns void
language plpgsql as $$
begin
    for n in 1 .. coalesce(cardinality(kinds), 0) loop
        insert into byteport.events (incident, kind, text, data) values (of_incident, kinds[n], texts[n], datas[n]);
    end loop;
end $$;

-- The end of a move, by who holds the claim: BP001 where that has passed on, BP002 where it would close over something
-- that is not settled. No row where a signal came while it was being closed: the claim ends, and the move is repeated.
-- `goes_on` keeps the claim for another move and reads with it whatever came meanwhile. `look_tokens`, by group, are of who
-- saves this: those groups of the round that is opened are taken by it at once.
create function byteport.save_move(
    of_incident text, of_token text, read_version bigint, new_page text, new_phase text, new_mode text, new_ending text,
    new_reason text, new_state jsonb, new_due timestamptz, new_command text, new_command_by text, new_command_why text,
    first_acted timestamptz, first_escalated timestamptz, still_pending integer, is_locked boolean, lets_go boolean,
    kinds text[], texts text[], datas jsonb[], looks boolean, look_groups jsonb, look_lease double precision,
    look_deadline double precision, look_tokens jsonb, story jsonb, story_text text, goes_on boolean, at_once boolean)
returns setof byteport.incidents language plpgsql as $$
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
    if not at_once then
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
        select of_incident, known.round + 1, g.name, array(select jsonb_array_elements_text(g.fields)), look_lease,
            look_tokens ->> g.name, case when look_tokens ? g.name then now end, (look_tokens ? g.name)::integer,
            case when look_tokens ? g.name then now + make_interval(secs => look_lease) end
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
    perform byteport.append_events(of_incident, kinds, texts, datas);
    if jsonb_typeof(story) = 'object' then
        insert into byteport.postmortems (incident, record, markdown, written_at) values (of_incident, story, story_text, now)
        on conflict (incident) do update
        set record = excluded.record, markdown = excluded.markdown, written_at = excluded.written_at;
    end if;
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
    perform byteport.not_at_once();
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
    perform byteport.not_at_once();
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

-- All answers of an incident, oldest round first. What was asked in a round that is over and never answered is a failure of
-- that round: an older answer must not stand in for it. Rounds before the first answer have none to stand in, and are not
-- what `before` was.
create function byteport.answers_of(of_incident text)
returns table (round integer, field text, fact jsonb, failure jsonb, duration_ms double precision, taken_at timestamptz)
language sql stable as $$
    select e.round, e.field, e.fact, e.failure, e.duration_ms, e.taken_at from byteport.evidence e where e.incident = of_incident
    union all
    select g.round, f.field, 'null'::jsonb, jsonb_build_object('kind', 'timeout', 'text', 'nobody answered in time'),
           0, coalesce(g.sent_at, t.now)
    from byteport.incidents i, byteport.probe_groups g, unnest(g.fields) as f (field), (select byteport.clock() as now) t
    where i.id = of_incident and g.incident = i.id
      and (g.round < i.round or i.pending = 0 or (i.state ->> 'look_until')::timestamptz <= t.now)
      and not exists (select from byteport.evidence e where e.incident = i.id and e.round = g.round and e.field = f.field)
      and exists (select from byteport.evidence e where e.incident = i.id and e.round <= g.round)
    order by 1, 6, 2
$$;

-- A claim: whose move it is from now on, for 40 s. No row: not due, closed, another's, driven by another process, of a page
-- that is not known here, or in a phase that is not for whoever asks. A waiter finds its conditions asked again on the row
-- as it then stands, and the clock read again. The locks of its plan are renewed with it.
create function byteport.claim(
    of_incident text, pages text[], holder text, of_driver text, phases text[], for_hands text[])
returns setof byteport.incidents language plpgsql as $$
begin
    perform byteport.not_at_once();
    return query
    with claimed as (
        update byteport.incidents i set
            lease_token = nextval('byteport.fencing') || '.' || replace(gen_random_uuid()::text, '-', ''),
            (claimed_at, lease_until) = (select t.now, t.now + interval '40 seconds' from (select byteport.clock() as now) t),
            claims_in_vain = claims_in_vain + 1, claimed_by = holder,
            nudges_read = nudges, signals_read = signals_seen, commands_read = commands, driver = of_driver,
            driver_until = case when of_driver <> '' then byteport.clock() + interval '60 seconds' end
        where i.id = of_incident and i.phase <> 'closed' and due_at <= byteport.clock()
          and (lease_until is null or lease_until <= byteport.clock())
          and page = any(pages)
          and (driver = of_driver or (of_driver = '' and driver_until < byteport.clock()))
          and (phases is null or i.phase = any(
               case when coalesce((state ->> 'wants_hands')::boolean, false) then for_hands else phases end))
        returning i.*
    ), renewed as (
        update byteport.locks l set until = c.claimed_at + interval '15 minutes' from claimed c where l.incident = c.id
    )
    select * from claimed;
end $$;

-- Store what was asked, and where that completes the round claim the incident at once: whoever has looked goes on.
create function byteport.store_and_claim(
    of_incident text, of_round integer, answered jsonb, pages text[], holder text, of_driver text, phases text[],
    for_hands text[], out stored boolean, out completes boolean, out its_phase text, out incident byteport.incidents,
    out answers jsonb) language plpgsql as $$
begin
    select s.stored, s.completes, s.its_phase into stored, completes, its_phase
    from byteport.store_answers(of_incident, of_round, answered) s;
    if completes then
        select c.* into incident from byteport.claim(of_incident, pages, holder, of_driver, phases, for_hands) c;
        if incident.id is not null then
            select jsonb_agg(to_jsonb(a)) into answers from byteport.answers_of(of_incident) a;
        end if;
    end if;
end $$;

-- Messages become deliveries: [{id, channel, dedup_key, message, seconds, dry_run, kind, title, text, adds}]. Inside a
-- matter's window a message adds to the first one, or, where it says what was said last of an incident that is still open,
-- is kept as suppressed. How an incident ended, and who took it, is added to what was told of it first. What a person has
-- ended is over: whatever comes after it is a matter of its own. A matter of many incidents (a storm) is not over with one
-- of them, and nobody hears of its beginning twice, however long it lasts.
create function byteport.post(of_incident text, messages jsonb) returns void language plpgsql as $$
declare
    one record;
    before record;
    now timestamptz := byteport.clock();
    root text;
    its_state text;
    first text;
begin
    perform pg_advisory_xact_lock(hashtextextended('matter:' || k, 1))
    from (select distinct (m ->> 'channel') || ':' || (m ->> 'dedup_key') as k from jsonb_array_elements(messages) m order by 1) o;
    for one in
        select * from rows from (jsonb_to_recordset(messages) as (
            id text, channel text, dedup_key text, message jsonb, seconds double precision, dry_run boolean, kind text, title text,
            "text" text, adds boolean)) with ordinality as m (
            id, channel, dedup_key, message, seconds, dry_run, kind, title, txt, adds, n)
        order by n
    loop
        its_state := 'due';
        root := null;
        select d.id, d.repeats, d.message, coalesce(i.phase = 'closed', false) as is_over into before
        from byteport.deliveries d left join byteport.incidents i on i.id = d.incident
        where d.dedup_key = one.dedup_key and d.channel = one.channel and d.state in ('due', 'sending', 'sent')
          and (d.message ->> 'dry_run')::boolean = one.dry_run and d.created_at > now - make_interval(secs => one.seconds)
          and (i.id is null or of_incident is null or not (i.phase = 'closed' and i.ending in ('closed', 'cancelled')))
        order by d.created_at desc, d.id desc limit 1;
        if found then
            root := coalesce(before.repeats, before.id);
            if not before.is_over and before.message ->> 'title' = one.title and before.message ->> 'text' = one.txt
               and before.message ->> 'kind' = one.kind then
                its_state := 'suppressed';
            end if;
        end if;
        if one.kind = 'escalation' and one.dedup_key like '%|storm' then
            select d.id into first
            from byteport.storms s join byteport.deliveries d on d.dedup_key = 'escalation|' || s.runbook || '|storm'
            where s.ended_at is null and d.dedup_key = one.dedup_key and d.channel = one.channel
              and d.created_at >= s.began_at and d.message ->> 'kind' = 'escalation' and d.state in ('due', 'sending', 'sent')
            order by d.created_at, d.id limit 1;
            if found then
                its_state := 'suppressed';
                root := first;
            end if;
        end if;
        if root is null and one.adds then
            select coalesce(repeats, id) into root from byteport.deliveries
            where incident = of_incident and channel = one.channel and message ->> 'kind' in ('escalation', 'approval')
              and state <> 'failed'
            order by created_at, id limit 1;
        end if;
        -- in the order in which they were said
        insert into byteport.deliveries (id, incident, channel, dedup_key, message, state, created_at, due_at, repeats)
        values (one.id, of_incident, one.channel, one.dedup_key, one.message, its_state,
                now + make_interval(secs => (one.n - 1) / 1e6), now, root);
    end loop;
end $$;

-- The same three by one object each: many parameters cost who sends them more than the statement.
create function byteport.save_move(m jsonb) returns setof byteport.incidents language sql as $$
    select * from byteport.save_move(
        m ->> 'id', m ->> 'token', (m ->> 'version')::bigint, m ->> 'page', m ->> 'phase', m ->> 'mode', m ->> 'ending',
        m ->> 'reason', m -> 'state', (m ->> 'due_at')::timestamptz, m ->> 'command', m ->> 'command_by', m ->> 'command_why',
        (m ->> 'acted_at')::timestamptz, (m ->> 'escalated_at')::timestamptz, (m ->> 'pending')::integer,
        (m ->> 'locked')::boolean, (m ->> 'lets_go')::boolean, array(select e ->> 'kind' from jsonb_array_elements(m -> 'events') e),
        array(select e ->> 'text' from jsonb_array_elements(m -> 'events') e),
        array(select e -> 'data' from jsonb_array_elements(m -> 'events') e), (m ->> 'looks')::boolean, m -> 'groups',
        (m ->> 'lease')::double precision, (m ->> 'deadline')::double precision, m -> 'tokens', m -> 'story',
        m ->> 'story_text', (m ->> 'goes_on')::boolean, (m ->> 'at_once')::boolean)
$$;

create function byteport.open_intent(
    m jsonb, out word text, out n bigint, out used bigint, out frees_at timestamptz, out epoch bigint, out intent byteport.intents)
language sql as $$
    select * from byteport.open_intent(
        m ->> 'key', m ->> 'incident', m ->> 'token', (m ->> 'step')::integer, m ->> 'direction', m ->> 'move', m -> 'action',
        m -> 'claims', m -> 'before', m ->> 'subject', (m ->> 'lasting')::boolean, (m ->> 'asked')::integer, m ->> 'undo_id',
        nullif(m -> 'undo', 'null'), make_interval(secs => (m ->> 'undo_lasts')::double precision), m -> 'spends', m -> 'asking',
        (m ->> 'must_count')::boolean, (m ->> 'epoch')::bigint, m ->> 'text', m -> 'data')
$$;

create function byteport.settle_intent(m jsonb) returns setof byteport.intents language sql as $$
    select * from byteport.settle_intent(
        m ->> 'key', m ->> 'incident', (m ->> 'attempts')::integer, m -> 'outcome', nullif(m -> 'effect', 'null'),
        (m ->> 'refund')::boolean, m ->> 'frees', m ->> 'text', m -> 'data')
$$;
