"""Connection pool exhaustion: the slots of a database server run out.

Find out who holds them (sessions that began a transaction and forgot it, a release that leaks, statements that never
end, one application that fans out, a pooler or a pool that is too small) and take back only what is certainly idle or
over its time. A session with work to lose is left alone unless others wait for it. Thresholds are the operator's; caps
and the verification threshold can only be tightened.
"""

from __future__ import annotations

from byteport.actions.deploys import RestoreSurge
from byteport.grammar.guards import Never
from byteport.grammar.plan import Do, EndIf, HandOver, Look, Pause, Plan, Step, Undo
from byteport.grammar.runbook import Check, Escalation, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import all_of
from byteport.model.facts.database import Session
from byteport.model.signal import Severity
from byteport.model.target import TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.runbooks.database import db_connection_pool_story as story
from byteport.runbooks.database.db_connection_pool_evidence import PoolEvidence
from byteport.runbooks.database.db_connection_pool_moves import (
    CANCEL,
    END,
    NO_LAGGING_REPLICA,
    RAISE_POOL,
    RESTART,
    TERMINATE,
)
from byteport.runbooks.database.sessions import place, where

RETRIED_ONCE = {"after": seconds(30), "within": seconds(60), "every": seconds(30)}


def forgotten_transactions(e: PoolEvidence) -> Plan:
    return end_in_batches(e, e.idle_to_end(e.idle_threshold), e.idle_threshold)


def leaking_release(e: PoolEvidence) -> Plan:
    deploy, first = e.deploy_correlation, end_sessions(e, e.idle_to_end(e.idle_threshold), e.idle_threshold)
    if deploy is None:
        return Plan(steps=first, end="escalate", reason="no deploy source tells what to restart")
    if deploy.rollback_live:
        return Plan(steps=first, end=HandOver(runbook="failed_deploy_auto_rollback", reason=f"{deploy.sha} leaks"))
    if deploy.replicas < 2:
        return Plan(
            steps=first, end="escalate", reason=f"{deploy.workload} leaks, and has no second replica to stand in"
        )
    back = RestoreSurge(workload=deploy.workload, max_surge=deploy.max_surge, max_unavailable=deploy.max_unavailable)
    surges = deploy.max_surge not in ("0", "0%")  # else the restart leaves nothing to give back
    undo = Undo(action=back, when="rollout_has_settled", by=minutes(30)) if surges else None
    return Plan(steps=(*first, RESTART(undo=undo, workload=deploy.workload, revision=deploy.revision)))


def endless_statements(e: PoolEvidence) -> Plan:
    who = tuple(session.query_ref for session in e.statements_to_cancel()[: e.kills_per_minute])
    if not who:
        return withheld("none of the statements over the budget may be cancelled")
    told = {**place(e), "sessions": who}
    stubborn = (
        Pause(length=seconds(60)),
        Look(fields=("wait_events",)),
        EndIf(check="statements_have_ended", end="verify"),
    )
    return Plan(steps=(CANCEL(**told), *stubborn, TERMINATE(**told)))


def fanned_out_application(e: PoolEvidence) -> Plan:
    """The contract names no age; a transaction idle for less than a minute may be at work."""
    who, age = e.fanned_out(), min(60, e.idle_threshold)
    if not (sessions := e.idle_to_end(age, who)):
        return withheld(f"recycle {who}: none of its sessions may be ended")
    return end_in_batches(e, sessions, age)


def withheld(why: str) -> Plan:
    return Plan(end="escalate", reason=why, withheld=True)


def larger_pool(e: PoolEvidence) -> Plan:
    pools, to = e.pgbouncer_pools, min(e.a_quarter_more(), e.most_that_fits())
    if pools is None:
        return Plan(end="escalate", reason="no pooler is configured: put one in front, or give the server more slots")
    was = pools.default_pool_size
    if to <= was:
        full = e.most_that_fits() < e.a_quarter_more()
        why = "80 % of usable would be exceeded" if full else f"a quarter more is no whole one: set {was + 1} by hand"
        return Plan(end="escalate", reason=f"no headroom: default_pool_size {was} stays, {why}")
    if not pools.file_opted_in:
        return Plan(end="escalate", reason=f"propose default_pool_size = {to} (now {was}): the file is not opted in")
    return Plan(steps=(RAISE_POOL(**where(e), was=was, to=to),))


def end_in_batches(e: PoolEvidence, sessions: list[Session], age: int) -> Plan:
    """A batch a minute, three at most, until use is below the threshold; whoever is left then is for a person."""
    if not sessions:
        return withheld("none of the sessions idle in transaction may be ended")
    cap = e.kills_per_minute
    batches = [sessions[at : at + cap] for at in range(0, min(len(sessions), 3 * cap), cap)] if cap else []
    below = (Look(fields=("state_breakdown",)), EndIf(check="under_threshold", end="verify"))
    steps: tuple[Step, ...] = ()
    for batch in batches:
        wait = (*below, Pause(length=seconds(61)), *below) if steps else ()
        steps = (*steps, *wait, *end_sessions(e, batch, age))
    if (left := len(sessions) - sum(map(len, batches))) == 0:
        return Plan(steps=steps)
    return Plan(steps=(*steps, *below), end="escalate", reason=f"kill cap: {left} more sessions could be ended")


def end_sessions(e: PoolEvidence, sessions: list[Session], age: int) -> tuple[Do, ...]:
    who = tuple(session.ref for session in sessions[: e.kills_per_minute])
    return (END(**place(e), sessions=who, idle_for=seconds(age)),) if who else ()


RUNBOOK = Runbook(
    name="db_connection_pool_exhaustion",
    title="Connection pool exhaustion, six causes",
    category="database",
    summary="Decides which of six causes fills a database's connection slots, ends or cancels sessions within a cap, "
    "raises the pooler or restarts the leaking workload, and checks that use has fallen.",
    signals=(
        OnSignal("db_pool_exhausted", threshold="90 % of usable connections for 60 s", severity=Severity.CRITICAL),
        OnSignal("db_connections_saturated", threshold="as its source has it", severity=Severity.HIGH),
    ),
    target=TargetKind.DATABASE,
    target_key="host/dbname",
    evidence=PoolEvidence,
    checks={
        "under_threshold": ("state_breakdown",),
        "statements_have_ended": ("wait_events",),
        "rollout_has_settled": ("rollout",),
    },
    moves=(END, CANCEL, TERMINATE, RAISE_POOL, RESTART),
    guards=(NO_LAGGING_REPLICA,),
    never=(Never(name="pgbouncer_reload_only", verbs=("KILL", "SHUTDOWN")),),
    rules=(
        Rule("idle_in_tx_backlog", 0.91, "act", when=PoolEvidence.three_idle_in_transaction,
             then=forgotten_transactions, says=story.idle, supported_by=("wait_events",)),
        Rule("leak_after_deploy", 0.88, "act", then=leaking_release,
             when=all_of(PoolEvidence.deployed_within_the_hour, PoolEvidence.idle_in_transaction_rises,
                         PoolEvidence.the_release_owns_the_leak)),
        Rule("long_running_query", 0.85, "act", when=PoolEvidence.statements_are_over_budget,
             then=endless_statements, says=story.statements),
        Rule("runaway_cron_fanout", 0.82, "act", when=PoolEvidence.one_application_fans_out,
             then=fanned_out_application, says=story.fan_out),
        Rule("missing_pgbouncer", 0.80, "act", when=PoolEvidence.pooler_is_saturated,
             then=larger_pool, says=story.queue),
        Rule("undersized_pool", 0.75, "act", when=PoolEvidence.use_is_high,
             then=larger_pool, says=story.use),
    ),
    otherwise=Otherwise("unknown"),
    permissions={
        "sql": ("GRANT pg_monitor TO the probing and the acting login",
                "GRANT pg_signal_backend TO the acting login, which is no superuser",
                "pgbouncer: stats_users for the probing login (SHOW), admin_users for the acting one (RELOAD)"),
        "kubernetes": ("deployments get", "deployments patch"),
    },
    options=(
        Option("kills_per_minute_cap", 20, "sessions ended or cancelled a minute; may only be lowered"),
        Option("idle_in_tx_threshold_sec", 300, "age of a session idle in transaction before it may be ended",
               least=1),
        Option("query_budget_sec", 300, "how long a statement may run", least=1),
        Option("verify_threshold_pct", 70, "use to get below; may only be lowered", least=1, most=70),
    ),
    verify=(
        Check("utilization < 70%", PoolEvidence.under_threshold, ("state_breakdown",), **RETRIED_ONCE),
        Check("lock_waiters = 0", PoolEvidence.nobody_waits_for_a_lock, ("state_breakdown",), **RETRIED_ONCE),
        Check("error rate <= 1.2 x the median of the same hour over 7 days", PoolEvidence.error_rate_is_usual,
              ("error_rate",), **RETRIED_ONCE),
        Check("no client waits 30 s in the pooler", PoolEvidence.pooler_queue_moves,
              ("pgbouncer_pools",), **RETRIED_ONCE),
    ),
    escalate=Escalation(
        channels=("postmark", "slack", "github_issue"), once_per=hours(1), per=("database",), on_duplicate="comment",
        content=story.CONTENT, summary=story.summary, bundle=story.bundle, manual=story.commands,
        fix=story.permanent_fix,
    ),
    critical=PoolEvidence.slots_are_gone,
    proven_on=("PostgreSQL 18", "pgbouncer 1.18"),
)  # fmt: skip
