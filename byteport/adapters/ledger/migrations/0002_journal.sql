-- The journal: append-only, gapless per incident, each line carrying the hash of the one before.

create table byteport.events (
    incident text not null references byteport.incidents on delete cascade,
    seq      bigint not null,
    at       timestamptz not null,
    kind     text not null,
    text     text not null,
    data     jsonb not null,
    previous text not null,
    hash     text not null,
    primary key (incident, seq)
);

-- SHA-256 over the hash before, a line break, and the line as a JSON array: incident, seq, microseconds since 1970,
-- kind, text, data (jsonb's own text: keys in its order, one space after a comma and a colon).
create function byteport.event_hash(previous text, incident text, seq bigint, at timestamptz, kind text, txt text, data jsonb)
returns text language sql immutable as $$
    select encode(sha256(convert_to(
        previous || E'\n' || jsonb_build_array(incident, seq, (extract(epoch from at) * 1000000)::bigint, kind, txt, data)::text,
        'UTF8')), 'hex')
$$;

-- Nobody chooses a number, a time or a hash: whatever is inserted is put at the end of its incident's chain, under the
-- incident's row lock.
create function byteport.chain_event() returns trigger language plpgsql as $$
declare
    head record;
begin
    select event_count, head_hash into head from byteport.incidents where id = new.incident for no key update;
    if not found then
        raise exception 'no incident %', new.incident using errcode = 'foreign_key_violation';
    end if;
    new.seq := head.event_count + 1;
    new.at := byteport.clock();
    new.previous := head.head_hash;
    new.hash := byteport.event_hash(new.previous, new.incident, new.seq, new.at, new.kind, new.text, new.data);
    update byteport.incidents set event_count = new.seq, head_hash = new.hash where id = new.incident;
    return new;
end $$;

create trigger chained before insert on byteport.events
    for each row execute function byteport.chain_event();

-- A line leaves only together with its whole incident, by the retention; an open incident cannot be deleted.
create function byteport.keep_event() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        if not exists (select from byteport.incidents where id = old.incident) then
            return old;
        end if;
    end if;
    raise exception 'the journal is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end $$;

create trigger never_edited before update or delete on byteport.events
    for each row execute function byteport.keep_event();
create trigger never_emptied before truncate on byteport.events
    for each statement execute function byteport.keep_event();

revoke update, delete, truncate on byteport.events from public;

-- The first line that is missing, edited or out of its place; null when the chain is whole up to the incident's head.
create function byteport.first_broken(incident_id text) returns bigint language sql stable as $$
    with head as (
        select event_count, head_hash from byteport.incidents where id = incident_id
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
        (select greatest(lines, 1) from whole, head where last <> head_hash)
    )
$$;
