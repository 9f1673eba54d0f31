-- Pollers and when they last heard something; messages about BytePort itself; who has taken an incident.

create table byteport.pollers (
    name          text primary key,
    period        interval not null,
    configuration text not null,
    asked_at      timestamptz not null,
    since         timestamptz not null,
    succeeded_at  timestamptz,
    error         text not null default '',
    told_at       timestamptz
);

-- What concerns no incident: a source that does not answer, the digest of a storm.
alter table byteport.deliveries alter column incident drop not null;
create index deliveries_of_nobody on byteport.deliveries (created_at) where incident is null;

alter table byteport.incidents add column acknowledged_at timestamptz;
alter table byteport.incidents add column acknowledged_by text not null default '';

-- Silences of another system (Alertmanager's), kept while it has them. Their matchers may negate and be patterns, so they
-- are matched by whoever reads them; ours are equalities and stay in `match`.
alter table byteport.silences add column origin text not null default '';
alter table byteport.silences add column matchers jsonb;
alter table byteport.silences add column ended_by text not null default '';
create unique index silences_of_others on byteport.silences (origin) where origin <> '';
