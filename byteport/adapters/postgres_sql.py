"""The questions to PostgreSQL 12 and later, and the two statements that signal a session.

Only `backend_type = 'client backend'` is ever counted, listed or signalled: walsenders look active and old. Slots are
the server's, everything else is told of the connected database only. Query text leaves as raw bytes, for a session of
another database may have another encoding.
"""

from __future__ import annotations

from typing import LiteralString

SEES_ALL: LiteralString = "pg_has_role(current_user, 'pg_read_all_stats', 'usage')"

USABLE: LiteralString = """greatest(1, current_setting('max_connections')::int
  - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true)::int, 0))"""

LIMITS: LiteralString = """
SELECT current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int AS superuser_reserved,
       coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
       current_setting('server_version_num')::int AS server_version
"""

UTILIZATION: LiteralString = f"""
SELECT count(*) FILTER (WHERE backend_type = 'client backend') AS clients, {USABLE} AS usable, {SEES_ALL} AS sees_all
  FROM pg_stat_activity
"""  # noqa: S608 - constants of this file only

_MINE: LiteralString = """(a.pid = pg_backend_pid()
       OR (a.usename = current_user AND starts_with(a.application_name, 'byteport-')))"""

_IDLE: LiteralString = "('idle in transaction', 'idle in transaction (aborted)')"

_HERE: LiteralString = f"""
WITH here AS MATERIALIZED (
  SELECT a.* FROM pg_stat_activity a
   WHERE a.backend_type = 'client backend' AND a.datname = current_database() AND NOT {_MINE}
)"""  # noqa: S608

# The first hundred waiters are enough to find who blocks them, and asking for more would itself hold the lock table.
_BLOCKERS: LiteralString = """
blockers AS MATERIALIZED (
  SELECT DISTINCT unnest(pg_blocking_pids(waiting.pid)) AS pid
    FROM (SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' ORDER BY query_start LIMIT 100) waiting
)"""

# An index being built is left behind invalid when its builder is stopped: as good as written.
_WROTE: LiteralString = """(a.backend_xid IS NOT NULL
       OR EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.pid = a.pid))"""

COUNTS: LiteralString = f"""
SELECT count(*) AS clients, {USABLE} AS usable, {SEES_ALL} AS sees_all,
       count(*) FILTER (WHERE ours AND a.state = 'active') AS active,
       count(*) FILTER (WHERE ours AND a.state = 'idle') AS idle,
       count(*) FILTER (WHERE ours AND a.state IN {_IDLE}) AS idle_in_transaction,
       count(*) FILTER (WHERE ours AND a.wait_event_type = 'Lock') AS waiting,
       count(*) FILTER (WHERE ours AND a.state NOT IN ('active', 'idle') AND a.state NOT IN {_IDLE}) AS other,
       count(*) FILTER (WHERE NOT a.here) AS elsewhere,
       count(*) FILTER (WHERE NOT a.here AND a.state IN {_IDLE}) AS elsewhere_idle_in_transaction
  FROM (SELECT a.*, a.datname = current_database() AS here, a.datname = current_database() AND NOT {_MINE} AS ours
          FROM pg_stat_activity a WHERE a.backend_type = 'client backend') a
"""  # noqa: S608

_SESSIONS: LiteralString = f"""
{_HERE},{_BLOCKERS}
SELECT a.pid, a.backend_start, a.query_start, a.usename AS "user", r.rolsuper IS NOT FALSE AS superuser,
       coalesce(host(a.client_addr), '') AS address, coalesce(a.application_name, '') AS application, a.state,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_seconds,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS query_seconds,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_seconds,
       coalesce(a.wait_event_type || ':' || a.wait_event, '') AS wait,
       {_WROTE} AS has_written, a.pid IN (SELECT pid FROM blockers) AS blocks_others,
       substring(convert_to(a.query, 'SQL_ASCII') FROM 1 FOR 4096) AS query
  FROM here a LEFT JOIN pg_roles r ON r.oid = a.usesysid
"""  # noqa: S608

IDLE_SESSIONS: LiteralString = _SESSIONS + f"WHERE a.state IN {_IDLE} ORDER BY a.state_change LIMIT 100"
QUERIES: LiteralString = _SESSIONS + "WHERE a.state = 'active' ORDER BY a.query_start LIMIT 50"

STANDING: LiteralString = f"""
{_HERE}
SELECT s AS seconds, count(a.pid) AS sessions
  FROM unnest(ARRAY[30, 60, 120, 180, 240, 300, 450, 600, 900, 1200, 1800, 2700, 3600]) s
  LEFT JOIN here a ON a.state IN {_IDLE} AND a.state_change <= clock_timestamp() - make_interval(secs => s)
 GROUP BY s ORDER BY s
"""  # noqa: S608

APPLICATIONS: LiteralString = f"""
{_HERE}
SELECT a.application_name AS name, count(*) AS connections,
       count(*) FILTER (WHERE a.state IN {_IDLE}) AS idle_in_transaction
  FROM here a WHERE a.application_name <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20
"""  # noqa: S608

WAITS: LiteralString = f"""
{_HERE}
SELECT a.wait_event_type || ':' || a.wait_event AS name, count(*) AS sessions
  FROM here a WHERE a.wait_event IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10
"""  # noqa: S608

RIGHTS: LiteralString = f"SELECT {SEES_ALL} AS sees_all"

# pg_stat_replication.replay_lag keeps its last value while replay is paused, so bytes are measured. A running backup is
# no replica; a receiver that never replays (an archive of the log) is measured by what it has flushed.
REPLICA_LAG: LiteralString = f"""
SELECT {SEES_ALL} AS sees_all, coalesce(r.application_name, '') AS name, pg_wal_lsn_diff(
         CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
              ELSE pg_current_wal_lsn() END,
         coalesce(r.replay_lsn, r.flush_lsn, r.write_lsn, r.sent_lsn))::bigint AS behind
  FROM (SELECT 1) one LEFT JOIN pg_stat_replication r ON r.state IS DISTINCT FROM 'backup'
 WHERE r.pid IS NOT NULL OR NOT {SEES_ALL}
"""  # noqa: S608

STILL_THERE: LiteralString = """
SELECT w.pid, w.backend_start, w.query_start
  FROM unnest(%(pids)s::int[], %(starts)s::timestamptz[], %(queries)s::timestamptz[])
         AS w(pid, backend_start, query_start)
  JOIN pg_stat_activity a ON a.pid = w.pid AND a.backend_start = w.backend_start
 WHERE w.query_start IS NULL OR (a.state = 'active' AND a.query_start = w.query_start)
"""

_JUDGED_HEAD: LiteralString = f"""
WITH wanted AS (
  SELECT * FROM unnest(%(pids)s::int[], %(starts)s::timestamptz[], %(queries)s::timestamptz[])
             AS w(pid, backend_start, query_start)
),{_BLOCKERS},
seen AS MATERIALIZED (
  SELECT w.pid, w.backend_start, w.query_start, a.pid IS NOT NULL AS there, a.backend_type, a.datname, a.state,
         a.state_change, a.query_start AS running_since, r.rolsuper, coalesce({_WROTE}, false) AS has_written,
         w.pid IN (SELECT pid FROM blockers) AS blocks_others,
         {_MINE} OR lower(a.usename) = ANY(%(words)s::text[])
           OR coalesce(a.client_addr <<= ANY(%(networks)s::inet[]), false)
           OR EXISTS (SELECT FROM unnest(%(words)s::text[]) word
                       WHERE word <> '' AND starts_with(lower(a.application_name), word)) AS spared,
         pg_has_role(current_user, 'pg_signal_backend', 'usage')
           OR pg_has_role(current_user, a.usesysid, 'usage') AS may_signal
    FROM wanted w
    LEFT JOIN pg_stat_activity a ON a.pid = w.pid AND a.backend_start = w.backend_start
    LEFT JOIN pg_roles r ON r.oid = a.usesysid
),
judged AS MATERIALIZED (
  SELECT pid, backend_start, query_start, has_written, CASE
           WHEN NOT {SEES_ALL} THEN 'denied'
           WHEN NOT there THEN 'gone'
           WHEN backend_type IS DISTINCT FROM 'client backend' OR pid = pg_backend_pid() THEN 'not_a_client'
           WHEN datname IS DISTINCT FROM current_database() THEN 'elsewhere'
           WHEN rolsuper IS NOT FALSE THEN 'superuser'
           WHEN spared THEN 'spared'
           WHEN ("""  # noqa: S608

_JUDGED_TAIL: LiteralString = """) IS NOT TRUE THEN 'changed'
           WHEN has_written AND NOT blocks_others THEN 'has_written'
           WHEN may_signal IS NOT TRUE THEN 'denied'
           ELSE 'due' END AS fate
    FROM seen
)
SELECT pid, backend_start, query_start, has_written,
       CASE WHEN fate = 'due' AND NOT """

_STILL_IDLE: LiteralString = f"state IN {_IDLE} AND state_change < clock_timestamp() - %(idle_for)s::interval"
_SAME_STATEMENT: LiteralString = "state = 'active' AND running_since = query_start"
_END: LiteralString = "pg_terminate_backend(pid) THEN 'gone' ELSE fate END AS fate FROM judged"
_CANCEL: LiteralString = "pg_cancel_backend(pid) THEN 'gone' ELSE fate END AS fate FROM judged"

END_IDLE: LiteralString = _JUDGED_HEAD + _STILL_IDLE + _JUDGED_TAIL + _END
END_STATEMENT: LiteralString = _JUDGED_HEAD + _SAME_STATEMENT + _JUDGED_TAIL + _END
CANCEL: LiteralString = _JUDGED_HEAD + _SAME_STATEMENT + _JUDGED_TAIL + _CANCEL
