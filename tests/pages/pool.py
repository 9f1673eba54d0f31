"""Evidence for the page on connection pool exhaustion: a healthy database, and what makes each class of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from byteport.grammar.diagnosis import Diagnosis
from byteport.grammar.evidence import Failure
from byteport.grammar.plan import Plan
from byteport.model.facts.database import (
    ApplicationUse,
    DatabaseLimits,
    PgbouncerPools,
    Pool,
    ReplicaLag,
    Session,
    Standing,
    StateBreakdown,
    WaitEvents,
)
from byteport.model.facts.deploys import DeployCorrelation, Rollout
from byteport.model.target import Target, TargetKind
from byteport.runbooks.database.db_connection_pool_evidence import PoolEvidence
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = Target(kind=TargetKind.DATABASE, key="db1:5433/shop", within=("db1:5433",), coordinates={"database": "shop"})
FIELDS = PoolEvidence.FIELDS
ORDER = [rule.name for rule in RUNBOOK.rules]


def session(pid: int, **changes: Any) -> Session:
    return Session(
        **{
            "pid": pid, "backend_start": NOW - timedelta(hours=1, seconds=pid), "user": "app", "address": "10.0.0.9",
            "application": "web", "state": "idle in transaction", "state_seconds": 400 + pid, "fingerprint": "SELECT ?",
            **changes,
        }
    )  # fmt: skip


def idle(n: int, first: int = 1, **changes: Any) -> tuple[Session, ...]:
    return tuple(session(pid, **changes) for pid in range(first, first + n))


def statement(pid: int, seconds: float, **changes: Any) -> Session:
    return session(
        pid,
        **{"state": "active", "state_seconds": seconds, "query_seconds": seconds, "application": "report",
           "query_start": NOW - timedelta(seconds=seconds), "fingerprint": "SELECT pg_sleep(?)", **changes},
    )  # fmt: skip


def breakdown(**changes: Any) -> StateBreakdown:
    return StateBreakdown(**{"clients": 50, "usable": 100, "active": 10, "idle": 40, **changes})


def standing(n30: int, n120: int, n300: int) -> tuple[Standing, ...]:
    return tuple(Standing(seconds=s, sessions=n) for s, n in ((30, n30), (120, n120), (300, n300)))


def deploy(**changes: Any) -> DeployCorrelation:
    return DeployCorrelation(
        **{"sha": "abc1234", "workload": "c1/shop/deployment/web", "age_seconds": 240, "replicas": 3, "revision": "7",
           **changes}
    )  # fmt: skip


def pooler(**changes: Any) -> PgbouncerPools:
    one = Pool(database="shop", user="app", clients_active=20, clients_waiting=0, servers=20, size=20)
    return PgbouncerPools(**{"pools": (one,), "default_pool_size": 20, **changes})


def queue(seconds: float = 45, waiting: int = 7, **changes: Any) -> PgbouncerPools:
    one = Pool(database="shop", user="app", clients_active=20, clients_waiting=waiting, servers=20, size=20,
               longest_wait_seconds=seconds)  # fmt: skip
    return pooler(pools=(one,), **changes)


HEALTHY: dict[str, Any] = {
    "state_breakdown": breakdown(),
    "wait_events": WaitEvents(),
    "limits": DatabaseLimits(max_connections=103, superuser_reserved=3),
    "replica_lag": ReplicaLag(),
    "pgbouncer_pools": None,
    "deploy_correlation": None,
    "app_pool_config": None,
    "rollout": None,
    "error_rate": None,
}
CASES: dict[str, dict[str, Any]] = {
    "idle_in_tx_backlog": {"state_breakdown": breakdown(clients=95, idle_in_transaction=5, idle_sessions=idle(5))},
    "leak_after_deploy": {
        "state_breakdown": breakdown(
            clients=95, idle_sessions=idle(8, state_seconds=200.0), standing=standing(8, 4, 1)
        ),
        "deploy_correlation": deploy(),
    },
    "long_running_query": {"wait_events": WaitEvents(queries=(statement(1, 500), statement(2, 400)))},
    "runaway_cron_fanout": {
        "state_breakdown": breakdown(
            applications=(ApplicationUse(name="nightly", connections=15, idle_in_transaction=2),),
            idle_sessions=idle(2, application="nightly", state_seconds=90.0),
        )
    },
    "missing_pgbouncer": {"pgbouncer_pools": queue()},
    "undersized_pool": {"state_breakdown": breakdown(clients=85)},
    "unknown": {},
}
NEEDED = {
    "idle_in_tx_backlog": {"state_breakdown"},
    "leak_after_deploy": {"state_breakdown", "deploy_correlation"},
    "long_running_query": {"state_breakdown", "wait_events"},
    "runaway_cron_fanout": {"state_breakdown", "wait_events"},
    "missing_pgbouncer": {"state_breakdown", "wait_events", "pgbouncer_pools"},
    "undersized_pool": {"state_breakdown", "wait_events", "pgbouncer_pools"},
    "unknown": {"state_breakdown", "wait_events", "pgbouncer_pools"},
}
"""What must have been read before the class can be told: its own fields, and those of every rule before it. Without a
deploy or a trend the other half of the second rule is not needed: false and unknown is false."""


def evidence(
    *,
    missing: tuple[str, ...] = (),
    options: dict[str, Any] | None = None,
    first: PoolEvidence | None = None,
    **facts: Any,
) -> PoolEvidence:
    told = {**HEALTHY, **facts}
    return PoolEvidence(
        target=TARGET,
        facts={name: fact for name, fact in told.items() if name not in missing},
        failures={name: Failure(kind="timeout", text="no answer") for name in missing},
        looked_at=NOW,
        taken_at=dict.fromkeys(told, NOW),
        options=options or {},
        first=first,
    )


def settled() -> Rollout:
    return Rollout(revision="8", replicas=3, ready=3, updated=3, max_surge="0", max_unavailable="1")


def merged(names: list[str]) -> dict[str, Any]:
    """The evidence of several classes at once."""
    facts: dict[str, Any] = {}
    for name in names:
        for field, fact in CASES[name].items():
            known = facts.get(field)
            if isinstance(fact, StateBreakdown) and isinstance(known, StateBreakdown):
                fact = known.with_(  # noqa: PLW2901
                    clients=max(known.clients, fact.clients),
                    idle_sessions=(*known.idle_sessions, *fact.idle_sessions),
                    standing=known.standing or fact.standing,
                    applications=(*known.applications, *fact.applications),
                )
            facts[field] = fact
    return facts


def diagnosis(**facts: Any) -> Diagnosis:
    return RUNBOOK.diagnose(evidence(**facts))


def plan_of(**facts: Any) -> Plan:
    e = evidence(**facts)
    return RUNBOOK.plan(RUNBOOK.diagnose(e), e)
