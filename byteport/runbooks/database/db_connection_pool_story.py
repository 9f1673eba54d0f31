"""How the page on connection pool exhaustion tells people: reasons, the bundle, commands, what to mend for good.

Only fingerprints of statements are told, never their text; the database is named host/dbname, never by its URL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from shlex import quote
from typing import Any

from byteport.grammar.story import Performed, Story
from byteport.model.facts.database import Session, SessionRef
from byteport.runbooks.database.db_connection_pool_evidence import PoolEvidence

CONTENT = (
    "signal", "classification", "confidence", "utilization_before", "utilization_after", "pids_terminated",
    "pids_cancelled", "top5_query_fingerprints", "pgbouncer_pool_state", "last_deploy_sha", "kill_cap_status",
    "postmortem_markdown", "pg_stat_activity_snapshot",
)  # fmt: skip
ENDING = ("end_idle", "terminate")
NOT_KNOWN = "not known"
CAPS = ("kill cap", "kill_cap", "kills_per_incident")

FIXES = {
    "idle_in_tx_backlog": "Set idle_in_transaction_session_timeout, and find the code that keeps a transaction open "
    "while it does something else: the fingerprints show its last statement.",
    "leak_after_deploy": "Fix or roll back the release: a connection or transaction is opened and not given back. "
    "A restart only begins the leak anew.",
    "long_running_query": "EXPLAIN (ANALYZE, BUFFERS) the fingerprints on a replica; add the missing index or split "
    "the work, and set statement_timeout for the application's role.",
    "runaway_cron_fanout": "Recycle the application now: its jobs hold what was not ended. Then limit how many of "
    "them run at once, and give its role a CONNECTION LIMIT.",
    "missing_pgbouncer": "Pooler saturation: size default_pool_size for the load, or shorten the transactions that "
    "hold the pool's connections.",
    "undersized_pool": "Put a pooler in front in transaction mode, or raise max_connections together with the memory "
    "that each connection takes.",
}


def idle(e: PoolEvidence) -> str:
    found = e.idle_longer_than(e.idle_threshold)
    oldest = max(session.state_seconds for session in found)
    return (
        f"{len(found)} sessions idle in transaction for more than {e.idle_threshold} s, the longest for {oldest:.0f} s"
    )


def statements(e: PoolEvidence) -> str:
    found = e.statements_longer_than(e.query_budget)
    longest = max(session.query_seconds or 0 for session in found)
    return f"{len(found)} statements over {e.query_budget} s, the longest runs for {longest:.0f} s"


def fan_out(e: PoolEvidence) -> str:
    name = e.fanned_out()
    held = next(use.connections for use in e.state_breakdown.applications if use.name == name)
    return f"{name} holds {held} connections"


def queue(e: PoolEvidence) -> str:
    pools = e.pgbouncer_pools
    waiting, longest = (pools.clients_waiting, pools.longest_wait_seconds) if pools else (0, 0.0)
    return f"pooler saturation: {waiting} clients wait, the oldest for {longest:.0f} s"


def use(e: PoolEvidence) -> str:
    told = e.state_breakdown
    return f"{told.clients} of {told.usable} usable slots ({told.utilization:.0%}), and no cause dominates"


def summary(story: Story) -> dict[str, Any]:
    """The one-line message: ended sessions and the change in use are two figures, neither is taken for the other."""
    return {
        "host_db": story.evidence.target.key,
        "connections": _connections(story),
        "class": story.diagnosis.name if story.diagnosis else NOT_KNOWN,
        "terminated": story.count(*ENDING),
        "cancelled": story.count("cancel"),
        "utilization_after": _utilization(story),
        "action": "; ".join(step.note for step in story.performed if step.note) or "nothing was written",
        "link": story.link,
    }


def bundle(story: Story) -> dict[str, Any]:
    deploy = story.fact("deploy_correlation")
    return {
        "utilization_before": _utilization(story, before=True),
        "utilization_after": _utilization(story),
        "pids_terminated": _touched(story, *ENDING),
        "pids_cancelled": _touched(story, "cancel"),
        "top5_query_fingerprints": query_fingerprints(story),
        "pgbouncer_pool_state": _dumped(story.fact("pgbouncer_pools"))
        or "no pooler is configured, or it cannot be told",
        "last_deploy_sha": deploy.sha if deploy is not None else "no deploy source is configured, or it cannot be told",
        "kill_cap_status": kill_cap_status(story),
        "app_pool_config": _dumped(story.fact("app_pool_config")),
        "other_databases_of_the_server": _elsewhere(story),
        "pg_stat_activity_snapshot": _snapshot(story),
    }


def commands(story: Story) -> tuple[str, ...]:
    """What a person would type, with this incident's names."""
    server, _, dbname = story.evidence.target.key.rpartition("/")
    host, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
    psql = f"psql -h {quote(host)}{f' -p {quote(port)}' if port else ''} -d {quote(dbname)} -c"
    candidate, statement = _first(story, "state_breakdown"), _first(story, "wait_events")
    clients = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    idle_long = "AND state LIKE 'idle in transaction%' AND state_change < now() - interval '5 min' ORDER BY 4 DESC"
    runs_long = "AND state = 'active' AND query_start < now() - interval '5 min' ORDER BY 3 DESC LIMIT 10"
    return (
        f"{psql} \"SELECT count(*) AS total, current_setting('max_connections') AS max_conns {clients}\"",
        f'{psql} "SELECT pid, usename, application_name, now() - state_change AS idle {clients} {idle_long}"',
        f'{psql} "SELECT pid, usename, now() - query_start AS runs {clients} {runs_long}"',
        f'{psql} "SELECT pg_terminate_backend({candidate})"',
        f'{psql} "SELECT pg_cancel_backend({statement})"',
        "psql -p 6432 pgbouncer -c 'SHOW POOLS;'",
        "psql -p 6432 pgbouncer -c 'RELOAD;'",
    )


def permanent_fix(story: Story) -> str:
    name = story.diagnosis.name if story.diagnosis else ""
    return FIXES.get(
        name, "No cause was proven: compare the fingerprints with what was deployed or scheduled at the time."
    )


def query_fingerprints(story: Story) -> list[str]:
    """The five commonest statements among the sessions that were idle in transaction or ran long, when it began."""
    counted = Counter(session.fingerprint for session in _sessions(story) if session.fingerprint)
    return [f"{n} x {text}" for text, n in counted.most_common(5)]


def kill_cap_status(story: Story) -> str:
    """How many were signalled, under which caps, and how many more could have been, or what a cap refused."""
    reached = story.count(*ENDING, "cancel")
    cap = story.evidence.options.get("kills_per_minute_cap", 20)
    left = sum(step.left for step in story.performed)
    hit = [f"{left} were not let through"] if left else []
    hit += [story.reason] if story.reason.startswith(CAPS) else []
    rest = _could_be_ended(story) - reached
    more = f"; {rest} more could be ended and were left alone" if rest > 0 else ""
    return f"{reached} signalled (at most {cap} a minute, 60 an incident){more}" + (
        f"; hit: {'; '.join(hit)}" if hit else ""
    )


def _could_be_ended(story: Story) -> int:
    """Sessions that had been idle in transaction for too long when it began; 0 for classes that end others."""
    before = story.evidence.before
    idle_ones = story.diagnosis is not None and story.diagnosis.name == "idle_in_tx_backlog"
    if not (idle_ones and isinstance(before, PoolEvidence) and story.fact("state_breakdown", before=True)):
        return 0
    return len(before.idle_to_end(before.idle_threshold))


def _sessions(story: Story) -> Iterable[Session]:
    breakdown, waits = story.fact("state_breakdown", before=True), story.fact("wait_events", before=True)
    return (*(breakdown.idle_sessions if breakdown else ()), *(waits.queries if waits else ()))


def _touched(story: Story, *moves: str) -> list[str]:
    steps: list[Performed] = [step for step in story.performed if step.move in moves and step.how == "done"]
    return [item for step in steps if step.effect is not None for item in step.effect.items]


def _connections(story: Story) -> str:
    told = story.fact("state_breakdown", before=True)
    return NOT_KNOWN if told is None else f"{told.clients} of {told.usable} usable ({told.utilization:.0%})"


def _utilization(story: Story, *, before: bool = False) -> str:
    told = story.fact("state_breakdown", before)
    return NOT_KNOWN if told is None else f"{told.utilization:.1%}"


def _elsewhere(story: Story) -> str:
    told = story.fact("state_breakdown")
    if told is None or not told.elsewhere:
        return "none"
    return f"{told.elsewhere} sessions, {told.elsewhere_idle_in_transaction} idle in transaction: left alone"


def _snapshot(story: Story) -> list[dict[str, Any]]:
    left_out = {"query_start", "backend_start", "address"}
    return [session.model_dump(mode="json", exclude=left_out) for session in list(_sessions(story))[:50]]


def _first(story: Story, field: str) -> str:
    told = story.fact(field)
    listed = () if told is None else told.idle_sessions if field == "state_breakdown" else told.queries
    ref: SessionRef | None = listed[0].ref if listed else None
    return str(ref.pid) if ref else "PID"


def _dumped(fact: Any) -> Any:
    if isinstance(fact, tuple):
        return [_dumped(item) for item in fact]
    return fact.model_dump(mode="json") if fact is not None else None
