-- Standing orders of people, and the processes that are BytePort itself.

create table byteport.silences (
    id    bigint generated always as identity primary key,
    match jsonb not null check (match <> '{}'),
    why   text not null,
    who   text not null,
    since timestamptz not null,
    until timestamptz not null
);

create index silences_until on byteport.silences (until);

create table byteport.vetoes (
    id         bigint generated always as identity primary key,
    runbook    text not null,
    target_key text not null,
    why        text not null,
    since      timestamptz not null,
    until      timestamptz not null
);

create index vetoes_standing on byteport.vetoes (runbook, target_key, until);

-- Every promotion ever made; a runbook's newest one counts.
create table byteport.promotions (
    id         bigint generated always as identity primary key,
    runbook    text not null,
    mode       text not null check (mode in ('dry_run', 'approve', 'live')),
    live_since timestamptz,
    who        text not null,
    why        text not null,
    at         timestamptz not null
);

create index promotions_newest on byteport.promotions (runbook, id desc);

create table byteport.processes (
    process       text primary key,
    keys          text[] not null,
    configuration text not null,
    seen_at       timestamptz not null
);

-- A person's word that a runbook's storm is over.
create table byteport.storms_ended (
    id      bigint generated always as identity primary key,
    runbook text not null,
    who     text not null,
    at      timestamptz not null
);

create index storms_ended_newest on byteport.storms_ended (runbook, at);

-- The newest opening that was one too many within five minutes, if its storm has not been calm for ten since, nor been
-- ended by a person. The storm itself lasts until so many have left the five minutes.
create function byteport.storm_until(of_runbook text, at_most integer, now timestamptz) returns timestamptz
language sql stable as $$
    with opened as (
        select opened_at, lag(opened_at, at_most) over (order by opened_at) as earlier
        from byteport.incidents
        where runbook = of_runbook
          and opened_at > greatest(now - interval '15 minutes',
                                   (select max(at) from byteport.storms_ended where runbook = of_runbook))
    )
    select max(earlier) + interval '15 minutes' from opened where opened_at - earlier < interval '5 minutes'
$$;
