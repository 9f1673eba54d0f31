-- Who held how much of a host's memory, as BytePort saw it: without it nobody knows what has grown. Kept for some hours.
create table byteport.memory_looks (
    host text not null,
    at timestamptz not null,
    held jsonb not null,
    primary key (host, at)
);
