-- What a poller remembers between two looks, whichever process takes the next one; and until when the look that has begun
-- may take: nobody else looks meanwhile, and one that ends later writes nothing.
alter table byteport.pollers add column memory jsonb not null default '{}';
alter table byteport.pollers add column looking_until timestamptz;
