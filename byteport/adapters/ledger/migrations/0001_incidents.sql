-- Incidents, the signals that opened or fed them, and the inventory of known targets.

-- THE clock. Every date in this schema is read from it, and every due date, lease and window is compared with it.
create function byteport.clock() returns timestamptz language sql volatile as 'select clock_timestamp()';

-- Numbers of claims, strictly increasing: a later token of an incident always carries a higher one.
create sequence byteport.fencing;

-- What is compared or counted is a column, the rest of the incident stands in `state`; where both have it, the column
-- counts. `signal` is the first one and is never written again, so that a move does not copy its payload. `signals_seen`, `last_signal_at`, `clear_since` and `severity` belong to signals and no move writes them.
-- A counter and what the present claim has read of it: `signals_read`, `nudges_read`, `commands_read`.
create table byteport.incidents (
    id              text primary key,
    runbook         text not null,
    page            text not null,
    target_kind     text not null,
    target_key      text not null,
    phase           text not null check (phase in ('open', 'probe', 'classify', 'plan', 'act', 'verify', 'escalate',
                                                   'write_up', 'closed')),
    mode            text not null check (mode in ('dry_run', 'approve', 'live')),
    severity        text not null check (severity in ('info', 'warning', 'high', 'critical')),
    due_at          timestamptz not null,
    opened_at       timestamptz not null,
    closed_at       timestamptz,
    lease_token     text,
    lease_until     timestamptz,
    claimed_at      timestamptz,
    claims_in_vain  integer not null default 0,
    version         bigint not null default 0,
    round           integer not null default 0,
    pending         integer not null default 0 check (pending >= 0),
    driver          text not null default '',
    driver_until    timestamptz,
    woken_at        timestamptz,
    signals_seen    integer not null default 1,
    signals_read    integer not null default 0,
    nudges          bigint not null default 0,
    nudges_read     bigint not null default 0,
    last_signal_at  timestamptz,
    clear_since     timestamptz,
    acted_at        timestamptz,
    escalated_at    timestamptz,
    command         text not null default '',
    command_by      text not null default '',
    command_why     text not null default '',
    commands        bigint not null default 0,
    commands_read   bigint not null default 0,
    parent          text not null default '',
    ending          text not null default '',
    reason          text not null default '',
    event_count     bigint not null default 0,
    head_hash       text not null default '',
    signal          jsonb not null,
    state           jsonb not null,
    check ((phase = 'closed') = (closed_at is not null))
) with (fillfactor = 70);

create unique index one_open_incident on byteport.incidents (runbook, target_key) where phase <> 'closed';
create index incidents_due on byteport.incidents (due_at) where phase <> 'closed';
create index incidents_looking on byteport.incidents (id) where phase <> 'closed' and pending > 0;
create index incidents_opened on byteport.incidents (opened_at, id);
create index incidents_of_runbook on byteport.incidents (runbook, opened_at);
create index incidents_acted on byteport.incidents (runbook, target_key, acted_at) where acted_at is not null;
create index incidents_closed on byteport.incidents (closed_at) where phase = 'closed';

create function byteport.keep_open_incident() returns trigger language plpgsql as $$
begin
    raise exception 'incident % is open and cannot be deleted', old.id using errcode = 'restrict_violation';
end $$;

create trigger open_incidents_stay before delete on byteport.incidents
    for each row when (old.phase <> 'closed') execute function byteport.keep_open_incident();

create table byteport.signals (
    id          bigint generated always as identity primary key,
    incident    text not null references byteport.incidents on delete cascade,
    source      text not null,
    event_id    text,
    received_at timestamptz not null,
    signal      jsonb not null
);

create unique index one_signal_an_event on byteport.signals (source, event_id) where event_id is not null;
create index signals_of_incident on byteport.signals (incident);

create table byteport.targets (
    kind        text not null,
    key         text not null,
    within      text[] not null,
    coordinates jsonb not null,
    first_seen  timestamptz not null,
    last_seen   timestamptz not null,
    primary key (kind, key)
);

create index targets_seen on byteport.targets (kind, last_seen);
