-- What listings and counts need, so that they take as long over a million incidents as over a hundred.

-- The open ones, newest first, however many closed ones lie between them.
create index incidents_open_newest on byteport.incidents (opened_at, id) where phase <> 'closed';

-- Counting what is closed would read all of it. Each closing leaves a line here instead (and each forgetting one that
-- takes it back); the sum of the lines is the number. Lines are only ever added, so that nobody waits for anybody, and
-- the retention adds them up.
create table byteport.endings (
    ending text not null,
    n      bigint not null
);

create function byteport.count_ending() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' and old.phase = 'closed' then
        insert into byteport.endings values (coalesce(nullif(old.ending, ''), 'closed'), -1);
    end if;
    if tg_op <> 'DELETE' and new.phase = 'closed' then
        insert into byteport.endings values (coalesce(nullif(new.ending, ''), 'closed'), 1);
    end if;
    return null;
end $$;

create trigger endings_closed after update on byteport.incidents for each row
    when (old.phase is distinct from new.phase and 'closed' in (old.phase, new.phase)
          or new.phase = 'closed' and old.ending is distinct from new.ending)
    execute function byteport.count_ending();
create trigger endings_inserted after insert on byteport.incidents for each row
    when (new.phase = 'closed') execute function byteport.count_ending();
create trigger endings_forgotten after delete on byteport.incidents for each row
    when (old.phase = 'closed') execute function byteport.count_ending();

insert into byteport.endings
select coalesce(nullif(ending, ''), 'closed'), count(*) from byteport.incidents where phase = 'closed' group by 1;

-- Failed deliveries are few, and counted whenever somebody looks.
create index deliveries_failed on byteport.deliveries (created_at) where state = 'failed';

-- What may still stand of spends: those of a window by its length and beginning, and what is for ever on a key that no
-- single incident owns. What one incident owns is found by its intents, while it is open.
create index spends_windowed on byteport.spends (window_seconds, begun_at)
    where window_seconds > 0 and refunded_at is null and reset_at is null;
create index spends_for_ever on byteport.spends (claim_key)
    where window_seconds = 0 and refunded_at is null and reset_at is null
      and right(claim_key, length(incident) + 1) <> ':' || incident;
