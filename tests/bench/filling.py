"""Many incidents that wait, made of a few that the engine itself brought there: the same rows in every table, under names
of their own, with journals whose hashes are right."""

from __future__ import annotations

from typing import Any

import psycopg

AT_ONCE = 10_000
NAMELESS = ("evidence", "probe_groups")  # they name their incident and nothing else of it
# How many bytes the tables of the ledger take, with their indexes and what is stored beside the rows.
SIZES = """
select relname, pg_total_relation_size(oid) from pg_class
where relnamespace = 'byteport'::regnamespace and relkind = 'r'
"""
COLUMNS = """
select table_name, array_agg(column_name::text order by ordinal_position) from information_schema.columns
where table_schema = 'byteport' and is_identity = 'NO' and is_generated = 'NEVER'
  and table_name in (select table_name from information_schema.columns
                     where table_schema = 'byteport' and column_name = 'incident')
group by table_name
"""
# A name of a template and the one that takes its place have the same length.
MODELS = """
create temporary table models as
select id, target_key, row_number() over (order by id) - 1 as place, d.delivery
from byteport.incidents, lateral (select min(id) as delivery from byteport.deliveries where incident = incidents.id) d
where id = any(%s)
"""
COPIES = """
create temporary table copies as
select n, id as model, 'inc-' || substr(md5('copy ' || n), 1, 16) as id, target_key as old_key,
    'valve-' || lpad(n::text, 8, '0') as key, delivery as old_delivery, 'dlv-' || substr(md5('copy ' || n), 1, 16) as delivery
from generate_series(%s::int, %s::int) n join models on place = mod(n, (select count(*) from models))
"""
RENAMED = """
create function pg_temp.renamed(told text, c copies) returns text language sql as $$
    select replace(replace(replace(told, c.model, c.id), c.old_key, c.key), coalesce(c.old_delivery, 'none'), c.delivery)
$$
"""
LINES = """
insert into byteport.events (incident, seq, at, kind, text, data, previous, hash)
select c.id, e.seq, e.at, e.kind, pg_temp.renamed(e.text, c), d.data, coalesce(p.hash, ''),
    byteport.event_hash(coalesce(p.hash, ''), c.id, e.seq, e.at, e.kind, pg_temp.renamed(e.text, c), d.data)
from copies c join byteport.events e on e.incident = c.model and e.seq = %(seq)s
    left join byteport.events p on p.incident = c.id and p.seq = %(seq)s - 1,
    lateral (select pg_temp.renamed(e.data::text, c)::jsonb as data) d
"""
# Wherever the end of a journal is kept.
HEAD = "jsonb_build_object('head_hash', (select hash from byteport.events where incident = c.id order by seq desc limit 1))"
# They are as old as such piles are, so that they are no storm.
INCIDENTS = f"""
insert into byteport.incidents select r.* from copies c join byteport.incidents i on i.id = c.model,
    lateral jsonb_populate_record(i, pg_temp.renamed(to_jsonb(i)::text, c)::jsonb || {HEAD} || jsonb_build_object(
        'opened_at', i.opened_at - interval '1 hour' - c.n * interval '1 second')) r
"""


def fill(database: psycopg.Connection[Any], templates: list[str], count: int) -> None:
    """`database` is a superuser's connection, whose triggers and references rest meanwhile."""
    database.execute("set session_replication_role = replica")
    database.execute(MODELS, [templates])
    lines = "select max(seq) from byteport.events where incident in (select id from models)"
    (most,) = database.execute(lines).fetchone() or (0,)
    others = [(name, columns) for name, columns in database.execute(COLUMNS) if name not in ("events", "incidents")]
    for first in range(0, count, AT_ONCE):
        database.execute(COPIES, [first, min(first + AT_ONCE, count) - 1])
        database.execute(RENAMED)
        for seq in range(1, most + 1):
            database.execute(LINES, {"seq": seq})
        database.execute(INCIDENTS)
        for name, columns in others:
            database.execute(_copied(name, columns))
        database.execute("drop function pg_temp.renamed(text, copies); drop table copies")
    database.execute("drop table models; set session_replication_role = origin")


def _copied(table: str, columns: list[str]) -> str:
    """Whatever else stands about an incident; what numbers itself gets a number of its own."""
    copied, whole = "c.id" if table in NAMELESS else "r.incident", "o" if table in NAMELESS else "r"
    told = ", ".join(copied if column == "incident" else f"{whole}.{column}" for column in columns)
    head = f" || {HEAD}" if "head_hash" in columns else ""
    renamed = f", lateral jsonb_populate_record(o, pg_temp.renamed(to_jsonb(o)::text, c)::jsonb{head}) r"
    return f"""
    insert into byteport.{table} ({", ".join(columns)}) select {told}
    from copies c join byteport.{table} o on o.incident = c.model{"" if table in NAMELESS else renamed}
    """


def sizes(database: psycopg.Connection[Any]) -> dict[str, int]:
    """By table, once what is dead was cleared away."""
    database.execute("vacuum (analyze)")
    return {str(name): int(size) for name, size in database.execute(SIZES)}
