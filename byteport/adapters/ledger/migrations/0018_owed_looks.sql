-- The look that an incident owes which has ended partially resolved: its date, and the incident that took it. Nothing is held
-- and nothing is claimed until then.
create table byteport.owed_looks (
    incident text primary key references byteport.incidents on delete cascade,
    due_at   timestamptz not null,
    looker   text
);
create index owed_looks_due on byteport.owed_looks (due_at) where looker is null;
