"""Everything that the page on connection pool exhaustion may ever do, and under which guards."""

from __future__ import annotations

from byteport.actions.deploys import RestartRollout, RestoreSurge
from byteport.actions.pgbouncer import RaisePoolSize
from byteport.actions.postgres import CancelStatements, EndIdleSessions, EndStatements
from byteport.grammar.guards import Budget, Ceiling, CeilingBudget, Members, Requires
from byteport.grammar.runbook import Move
from byteport.model.units import hours, minutes, seconds
from byteport.runbooks.database.db_connection_pool_evidence import PoolEvidence
from byteport.runbooks.database.sessions import ALWAYS_SPARED, SessionCooldown, is_spared, is_superuser, server_of

NO_LAGGING_REPLICA = Requires(
    name="replica_lag_abort", condition=PoolEvidence.replicas_keep_up, as_kind="abort", counter="db_replica_lag",
    reads=("replica_lag",), value="lag > 10 MB",
)  # fmt: skip
SESSION_GUARDS = (
    Members(name="app_allowlist", forbidden=is_spared, reads=("state_breakdown", "wait_events"), on_hit="skip",
            value=f"{', '.join(ALWAYS_SPARED)}, superusers are never ended", scope_name="per session"),
    Members(name="superuser_check", forbidden=is_superuser, reads=("state_breakdown", "wait_events"), on_hit="skip",
            as_kind="precondition", value="pg_roles.rolsuper is false", scope_name="per session"),
    Budget(name="kill_cap", limit=20, per=minutes(1), counter="db_kills", option="kills_per_minute_cap",
           scope=server_of, scope_name="per database server"),
    CeilingBudget(name="kills_per_incident", limit=60, counter="db_kills_per_incident", per_incident=True,
                  scope_name="per incident"),
)  # fmt: skip
ONE_MINUTE_AFTER_A_CANCEL = SessionCooldown(
    name="cancel_to_terminate",
    counter="db_cancel_to_terminate",
    per=seconds(60),
    on_hit="wait",
    scope_name="per session",
)

END = Move("end_idle", EndIdleSessions, SESSION_GUARDS)
CANCEL = Move("cancel", CancelStatements, (*SESSION_GUARDS, ONE_MINUTE_AFTER_A_CANCEL))
TERMINATE = Move("terminate", EndStatements, (*SESSION_GUARDS, ONE_MINUTE_AFTER_A_CANCEL))
RAISE_POOL = Move("raise_pool", RaisePoolSize, (
    Requires(name="pooler_file_opt_in", condition=PoolEvidence.file_is_opted_in, as_kind="opt_in",
             reads=("pgbouncer_pools",), value="pooler_ini of the database in the configuration"),
    Ceiling(name="pool_step", field="to", at_most=PoolEvidence.a_quarter_more, reads=("pgbouncer_pools",),
            value="25 % more than it is"),
    Ceiling(name="pool_ceiling", field="to", at_most=PoolEvidence.most_that_fits, counter="db_pool_ceiling",
            reads=("pgbouncer_pools", "state_breakdown"), value="clients + added slots <= 80 % of usable"),
    Budget(name="pgbouncer_reload", limit=1, per=hours(24), counter="pgbouncer_reload", scope_name="per pooler"),
))  # fmt: skip
RESTART = Move("restart", RestartRollout, (
    Requires(name="two_replicas", condition=PoolEvidence.two_replicas_or_more, reads=("deploy_correlation",),
             value="at least 2 replicas"),
    Budget(name="service_restarts", limit=3, per=hours(1), counter="service_restarts", scope_name="per workload"),
), undo=RestoreSurge)  # fmt: skip
