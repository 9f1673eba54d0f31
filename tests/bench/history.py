"""A ledger with a long past: one incident that was really treated, told many times over with other dates and names."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.bench.stage import Stage, until

EVERY = ("signals", "intents", "spends", "deliveries")  # of each incident; the rest of the newest ones only
WHOLE, OPEN, DAYS = 5_000, 1_000, 90
PAGES = "{bench,bench,disk_pressure,db_connection_pool_exhaustion,cpu_saturation}"

# Whatever hangs on an incident but locks, which nobody holds any more.
_TABLES = """
select c.table_name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
where c.table_schema = 'byteport' and c.column_name = 'incident' and t.table_type = 'BASE TABLE' and c.table_name <> 'locks'
"""
_COLUMNS = """
select column_name, data_type from information_schema.columns
where table_schema = 'byteport' and table_name = %s and is_identity = 'NO' order by ordinal_position
"""
# The newest thousand are open: every third one rests with a person, the others wait for their next move.
_OPENED = """
update byteport.incidents set phase = case when n %% 3 = 0 then 'escalate' else 'plan' end, closed_at = null, ending = '',
    due_at = byteport.clock() + interval '2 hours'
from generate_series(1, %s) as n where id = 'inc-' || lpad(n::text, 12, '0')
"""
_COUNTED = """
delete from byteport.endings;
insert into byteport.endings select coalesce(nullif(ending, ''), 'closed'), count(*) from byteport.incidents
where phase = 'closed' group by 1
"""


def treated(here: Stage) -> str:
    """An incident that the fleet has treated to its end."""
    here.start("probe", "act", "decide", "beat")
    told = {"name": "bench", "source": "bench", "event_id": "event-", "severity": "high", "summary": "valve is stuck"}
    from byteport.model.signal import Signal

    target, now = {"kind": "service", "key": "valve-0", "within": ["host:h0"]}, here.world.ledger.now()
    admission = here.world.engine.take(Signal.model_validate({**told, "target": target, "fired_at": now}))
    assert admission is not None
    until(lambda: _is_over(here, admission.incident), 90, "the first incident is treated", every=0.1)
    here.stop()
    return admission.incident


def _is_over(here: Stage, incident: str) -> bool:
    found = here.world.ledger.incident(incident)
    return found is not None and bool(found.closed_at) and here.world.ledger.postmortem(incident) is not None


def filled(here: Stage, template: str, first: int, last: int) -> None:
    """Incidents `first` to `last`, the first of all being the newest; past the triggers, as a restored dump is."""
    with psycopg.connect(here.postgres.superuser_url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("set synchronous_commit = off")
        tables = [name for (name,) in connection.execute(_TABLES).fetchall()]
        for table in ("incidents", *tables):
            to = last if table in ("incidents", *EVERY) else min(last, WHOLE)
            if first <= to:
                connection.execute(_copied(connection, table), {"template": template, "first": first, "last": to})
        if first == 1:
            connection.execute(_OPENED, [min(OPEN, last)])
        connection.execute(_COUNTED)
        connection.execute("vacuum analyze")


def _copied(connection: psycopg.Connection[Any], table: str) -> bytes:
    columns = dict(connection.execute(_COLUMNS, [table]).fetchall())
    of = "id" if table == "incidents" else "incident"
    values = [_value(table, name, kind) for name, kind in columns.items()]
    return f"""
        insert into byteport.{table} ({", ".join(f'"{name}"' for name in columns)})
        select {", ".join(values)} from byteport.{table} t
        cross join lateral generate_series(%(first)s::int, %(last)s::int) as n
        cross join lateral (select 'inc-' || lpad(n::text, 12, '0') as id) as new
        where t.{of} = %(template)s
    """.encode()


def _value(table: str, name: str, kind: str) -> str:
    column = f't."{name}"'
    if kind.startswith("timestamp"):
        return f"{column} - n * interval '{DAYS} days' / 1000000"
    if (table, name) == ("incidents", "runbook"):
        return f"('{PAGES}'::text[])[n %% 5 + 1]"
    if name in ("target_key", "event_id"):
        return f"{column} || '-' || n"
    if (table, name) == ("deliveries", "repeats"):
        return "null"
    if kind == "text" and name in ("id", "incident", "key", "intent", "claim_key", "dedup_key"):
        same = f"replace({column}, %(template)s, new.id)"
        has = f"strpos({column}, %(template)s) > 0"
        other = f"{column} || '-' || n" if name in ("id", "key", "intent", "claim_key") else column
        return f"case when {has} then {same} else {other} end"
    return column
