-- Intents, what they spend and owe, locks, pauses and the epoch of the budgets store.

create table byteport.intents (
    key         text primary key,
    incident    text not null references byteport.incidents on delete cascade,
    step        integer not null,
    direction   text not null check (direction in ('do', 'undo')),
    move        text not null,
    action      jsonb not null,
    claims      jsonb not null,
    pre_state   jsonb not null,
    attempts    integer not null default 0,
    opened_at   timestamptz not null,
    begun_at    timestamptz,
    answered_at timestamptz,
    effect      jsonb,
    outcome     jsonb,
    settled_at  timestamptz
);

create index intents_of_incident on byteport.intents (incident, opened_at);

-- A spend counts from the moment that its intent is opened, and its window starts when the first attempt begins: until
-- then it holds its place. It outlives its incident, for the retention must not give a budget back.
create table byteport.spends (
    claim_key      text not null,
    intent         text not null,
    incident       text not null,
    guard          text not null,
    kind           text not null,
    amount         integer not null check (amount >= 0),
    at_most        integer not null,
    window_seconds double precision not null check (window_seconds >= 0),
    spent_at       timestamptz not null,
    begun_at       timestamptz,
    refunded_at    timestamptz,
    reset_at       timestamptz,
    primary key (claim_key, intent)
);

create index spends_of_intent on byteport.spends (intent);
create index spends_counted on byteport.spends (claim_key, begun_at) where refunded_at is null and reset_at is null;

-- Whether a spend still counts in a window of that length (0: for ever).
create function byteport.counts_in(s byteport.spends, seconds double precision, now timestamptz)
returns boolean language sql stable as $$
    select s.refunded_at is null and s.reset_at is null
       and (seconds = 0 or s.begun_at is null or s.begun_at > now - make_interval(secs => seconds))
$$;

-- What others have used of a window, and when `amount` more would fit under `at_most` (null: never, or it is for ever).
create function byteport.recount(key text, own_intent text, at_most bigint, seconds double precision, amount bigint,
                                 now timestamptz, out used bigint, out frees_at timestamptz)
language sql stable as $$
    with live as (
        select s.amount, coalesce(s.begun_at, now) as since, s.intent
        from byteport.spends s
        where s.claim_key = key and s.intent <> own_intent and byteport.counts_in(s, seconds, now)
    ), leaving as (
        select since, sum(l.amount) over () as used, sum(l.amount) over (order by since, intent) as gone from live l
    )
    select coalesce(max(l.used), 0)::bigint,
           case when seconds > 0
                then min(since) filter (where l.used - l.gone + recount.amount <= at_most) + make_interval(secs => seconds)
           end
    from leaving l
$$;

create table byteport.guard_resets (
    id        bigint generated always as identity primary key,
    claim_key text not null,
    who       text not null,
    why       text not null,
    at        timestamptz not null,
    spends    integer not null
);

create table byteport.obligations (
    id       text primary key,
    incident text not null references byteport.incidents on delete cascade,
    intent   text not null references byteport.intents on delete cascade,
    step     integer not null,
    move     text not null,
    undo     jsonb not null,
    lasts    interval not null,
    by_at    timestamptz not null,
    begun_at timestamptz,
    state    text not null default 'owed' check (state in ('owed', 'done', 'dropped', 'escalated')),
    why      text not null default '',
    settled_at timestamptz
);

create index obligations_of_incident on byteport.obligations (incident);
create unique index obligation_of_intent on byteport.obligations (intent);

create table byteport.locks (
    key       text not null,
    incident  text not null references byteport.incidents on delete cascade,
    exclusive boolean not null,
    capacity  integer not null,
    guard     text not null,
    since     timestamptz not null,
    until     timestamptz not null,
    primary key (key, incident)
);

create index locks_of_incident on byteport.locks (incident);

create table byteport.pauses (
    id       bigint generated always as identity primary key,
    runbook  text not null,
    why      text not null,
    who      text not null,
    since    timestamptz not null,
    ended_at timestamptz,
    ended_by text not null default ''
);

create index pauses_standing on byteport.pauses (runbook) where ended_at is null;

-- One row. 0: the budgets store was never rebuilt, and nothing may be opened.
create table byteport.budgets_epoch (
    one   boolean primary key default true check (one),
    epoch bigint not null
);
insert into byteport.budgets_epoch (epoch) values (0);

-- One attempt begins, or the reason why not: stale, paused, unknown, settled, answered. The clock is read after the
-- locks, so that the time spent waiting for them counts. What was answered is never sent again.
create function byteport.begin_attempt(intent_key text, incident_id text, token text, attempts_read integer,
                                       lasts interval, of_runbook text) returns text language plpgsql as $$
declare
    claim record;
    known record;
    now timestamptz;
begin
    select phase, lease_token, lease_until into claim from byteport.incidents where id = incident_id for no key update;
    if not found or claim.phase = 'closed' or claim.lease_token is distinct from token then
        return 'stale';
    end if;
    select attempts, answered_at, outcome into known from byteport.intents
    where key = intent_key and incident = incident_id for no key update;
    if not found then
        return 'unknown';
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
