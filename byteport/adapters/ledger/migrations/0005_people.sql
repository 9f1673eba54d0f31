-- The outbox and the postmortems.

create table byteport.deliveries (
    id            text primary key,
    incident      text not null references byteport.incidents on delete cascade,
    channel       text not null,
    dedup_key     text not null,
    message       jsonb not null,
    state         text not null check (state in ('due', 'sending', 'sent', 'failed', 'suppressed')),
    tries         integer not null default 0,
    created_at    timestamptz not null,
    due_at        timestamptz not null,
    sending_until timestamptz,
    sent_at       timestamptz,
    reference     text not null default '',
    repeats       text references byteport.deliveries on delete set null,
    error         text not null default ''
);

create index deliveries_due on byteport.deliveries (due_at) where state in ('due', 'sending');
create index deliveries_of_matter on byteport.deliveries (dedup_key, channel, created_at);
create index deliveries_of_incident on byteport.deliveries (incident);
create index deliveries_repeats on byteport.deliveries (repeats) where repeats is not null;

create table byteport.postmortems (
    incident   text primary key references byteport.incidents on delete cascade,
    record     jsonb not null,
    markdown   text not null,
    written_at timestamptz not null
);
