"""What the page on connection pool exhaustion looks at, and how it reads it."""

from __future__ import annotations

from typing import Annotated

from byteport.grammar.evidence import Evidence
from byteport.model.facts.database import (
    AppPoolConfig,
    DatabaseLimits,
    PgbouncerPools,
    ReplicaLag,
    Session,
    StateBreakdown,
    WaitEvents,
)
from byteport.model.facts.deploys import DeployCorrelation, ErrorRate, Rollout
from byteport.model.units import MiB
from byteport.probes import deploys as from_deploys
from byteport.probes import pgbouncer as from_pooler
from byteport.probes import postgres as from_server
from byteport.runbooks.database.sessions import may_be_ended, spared_words


class PoolEvidence(Evidence):
    """What we look at (fields, each filled in by its probe) and how we read it (methods)."""

    state_breakdown: Annotated[StateBreakdown, from_server.state_breakdown]
    wait_events: Annotated[WaitEvents, from_server.wait_events]
    limits: Annotated[DatabaseLimits, from_server.limits]
    replica_lag: Annotated[ReplicaLag, from_server.replica_lag]
    pgbouncer_pools: Annotated[PgbouncerPools | None, from_pooler.pgbouncer_pools]
    deploy_correlation: Annotated[DeployCorrelation | None, from_deploys.deploy_correlation]
    app_pool_config: Annotated[tuple[AppPoolConfig, ...] | None, from_deploys.app_pool_config]
    rollout: Annotated[Rollout | None, from_deploys.rollout]
    error_rate: Annotated[ErrorRate | None, from_deploys.error_rate]

    def three_idle_in_transaction(self) -> bool:
        """3 or more sessions have been idle in transaction for longer than the threshold."""
        return len(self.idle_longer_than(self.idle_threshold)) >= 3

    def deployed_within_the_hour(self) -> bool:
        """A workload that uses the database was deployed in the last 60 min."""
        return self.deploy_correlation is not None and self.deploy_correlation.age_seconds <= 60 * 60

    def idle_in_transaction_rises(self) -> bool:
        """More and more sessions idle in transaction, over the last five minutes.

        Nobody kept the figures of five minutes ago, but a leaked session never leaves: those still here tell how many
        there were. They must have grown by 3 at least, and in both halves. Those younger than 30 s may be
        transactions at work and do not count.
        """
        then = {standing.seconds: standing.sessions for standing in self.state_breakdown.standing}
        now, halfway, before = (then.get(age, 0) for age in (30, 120, 300))
        return now - before >= 3 and now > halfway > before

    def the_release_owns_the_leak(self) -> bool:
        """Most sessions idle in transaction carry a name of the release, where its names are known."""
        names = self.deploy_correlation.applications if self.deploy_correlation else ()
        idle = self.state_breakdown.idle_sessions
        return not names or sum(session.application in names for session in idle) * 2 > len(idle)

    def statements_are_over_budget(self) -> bool:
        """2 or more statements run over the budget, or 1 over 10 min."""
        over = self.statements_longer_than(self.query_budget)
        return len(over) >= 2 or len(self.statements_longer_than(10 * 60)) >= 1

    def one_application_fans_out(self) -> bool:
        """One application_name holds 15 or more connections."""
        return bool(self.fanned_out())

    def pooler_is_saturated(self) -> bool:
        """Clients have waited in pgbouncer for 30 s (the oldest of them has)."""
        pools = self.pgbouncer_pools
        return pools is not None and pools.clients_waiting > 0 and pools.longest_wait_seconds >= 30

    def use_is_high(self) -> bool:
        """85 % or more of the usable slots are taken, and no other cause dominates."""
        return self.state_breakdown.utilization >= 0.85

    def slots_are_gone(self) -> bool:
        """98 % or more of the usable slots are taken."""
        return self.state_breakdown.utilization >= 0.98

    def under_threshold(self) -> bool:
        """Use is below the verification threshold (70 %, or a stricter option)."""
        return self.state_breakdown.utilization * 100 < min(70, self.whole("verify_threshold_pct", 70))

    def nobody_waits_for_a_lock(self) -> bool:
        """lock_waiters = 0."""
        return self.state_breakdown.lock_waiters == 0

    def pooler_queue_moves(self) -> bool | None:
        """No client has waited in pgbouncer for 30 s."""
        return None if self.pgbouncer_pools is None else not self.pooler_is_saturated()

    def error_rate_is_usual(self) -> bool | None:
        """Errors are at most 1.2 times the median of the same hour over 7 days."""
        return None if self.error_rate is None else self.error_rate.now <= 1.2 * self.error_rate.usual

    def statements_have_ended(self) -> bool:
        """None of the statements that were to be cancelled runs any more."""
        running = {session.query_ref for session in self.wait_events.queries}
        return not running & {session.query_ref for session in self.before.statements_to_cancel()}

    def rollout_has_settled(self) -> bool:
        """Every replica of the workload is new and ready."""
        return self.rollout is not None and self.rollout.settled

    def replicas_keep_up(self) -> bool:
        """No replica is more than 10 MB behind."""
        return (self.replica_lag.bytes_behind or 0) <= 10 * MiB

    def two_replicas_or_more(self) -> bool:
        """The workload has at least 2 replicas."""
        return self.deploy_correlation is not None and self.deploy_correlation.replicas >= 2

    def file_is_opted_in(self) -> bool:
        """The pooler's configuration file may be edited."""
        return self.pgbouncer_pools is not None and self.pgbouncer_pools.file_opted_in

    def a_quarter_more(self) -> int:
        """default_pool_size raised by 25 %."""
        return 0 if self.pgbouncer_pools is None else self.pgbouncer_pools.default_pool_size * 5 // 4

    def most_that_fits(self) -> int:
        """The largest default_pool_size with which clients and added slots stay at 80 % of usable."""
        pools, room = self.pgbouncer_pools, 0.80 * self.state_breakdown.usable - self.state_breakdown.clients
        sizes = range(self.a_quarter_more(), 0, -1) if pools is not None else ()
        return next((n for n in sizes if pools is not None and pools.slots_added_by(n) <= room), 0)

    def whole(self, option: str, default: int) -> int:
        return int(self.options.get(option, default))

    @property
    def idle_threshold(self) -> int:
        return self.whole("idle_in_tx_threshold_sec", 300)

    @property
    def query_budget(self) -> int:
        return self.whole("query_budget_sec", 300)

    @property
    def kills_per_minute(self) -> int:
        return max(0, min(20, self.whole("kills_per_minute_cap", 20)))

    def idle_longer_than(self, age: float) -> list[Session]:
        return [session for session in self.state_breakdown.idle_sessions if session.state_seconds > age]

    def statements_longer_than(self, age: float) -> list[Session]:
        return [session for session in self.wait_events.queries if (session.query_seconds or 0) > age]

    def idle_to_end(self, age: float, application: str = "") -> list[Session]:
        """Those that may be ended: who keeps others waiting first, then the longest idle."""
        words = spared_words(self)
        mine = [s for s in self.idle_longer_than(age) if not application or s.application == application]
        return sorted(
            (s for s in mine if may_be_ended(s, words)), key=lambda s: (not s.blocks_others, -s.state_seconds)
        )

    def statements_to_cancel(self) -> list[Session]:
        """Those over the budget that may be cancelled, the longest first."""
        words = spared_words(self)
        return [session for session in self.statements_longer_than(self.query_budget) if may_be_ended(session, words)]

    def fanned_out(self) -> str:
        """The application that holds most connections, if they are 15 or more and it is not spared."""
        words = tuple(word.lower() for word in spared_words(self) if word)
        named = [use for use in self.state_breakdown.applications if not use.name.lower().startswith(words)]
        most = max(named, key=lambda use: use.connections, default=None)
        return most.name if most is not None and most.connections >= 15 else ""
