-- Probe groups with their leases, and the evidence that they bring.

create table byteport.probe_groups (
    incident      text not null references byteport.incidents on delete cascade,
    round         integer not null,
    grp           text not null,
    fields        text[] not null,
    lease_seconds double precision not null,
    sent_at       timestamptz,
    sendings      integer not null default 0 check (sendings <= 3),
    token         text,
    taken_until   timestamptz,
    answered_at   timestamptz,
    primary key (incident, round, grp)
);

create table byteport.evidence (
    incident    text not null references byteport.incidents on delete cascade,
    round       integer not null,
    field       text not null,
    fact        jsonb,
    failure     jsonb,
    duration_ms double precision not null,
    taken_at    timestamptz not null,
    primary key (incident, round, field)
);

-- To be sent: never sent, not taken within 15 s of sending, or its lease has lapsed; at most three sendings.
create function byteport.to_send(g byteport.probe_groups, now timestamptz) returns boolean language sql stable as $$
    select g.answered_at is null and g.sendings < 3 and (
        g.sent_at is null
        or (g.taken_until is null and g.sent_at < now - interval '15 seconds')
        or g.taken_until < now
    )
$$;
