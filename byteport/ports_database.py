"""What BytePort asks of databases, poolers and rollouts. The adapters promise what stands here.

A database is named by its key in the inventory (`host/dbname`); an unknown key raises Permanent. Every call returns or
raises within 10 s for readers and 20 s for writers, also when the server has stopped answering. All raise Transient
(out of reach, out of time), Denied (a grant is missing; the text names it) or Permanent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Protocol

from pydantic import Field

from byteport.model.base import Value
from byteport.model.facts.database import (
    AppPoolConfig,
    DatabaseLimits,
    PgbouncerPools,
    ReplicaLag,
    SessionRef,
    StateBreakdown,
    Utilization,
    WaitEvents,
)
from byteport.model.facts.deploys import DeployCorrelation, ErrorRate, Rollout

Fate = Literal[
    "ended", "signalled", "gone", "changed", "superuser", "spared", "has_written", "not_a_client", "elsewhere", "denied"
]


class SessionFate(Value):
    """What became of one session that was to be ended or cancelled. `signalled`: sent, but still there 2 s later."""

    ref: SessionRef
    fate: Fate
    has_written: bool = False

    @property
    def reached(self) -> bool:
        return self.fate in ("ended", "signalled")


class Spared(Value):
    """Sessions never to be touched: a word is compared with user, client address and application_name.

    Case does not matter, an application_name only has to begin with the word, an address may be a network, and an empty
    word is nobody.
    """

    words: tuple[str, ...] = Field(default=(), max_length=256)


class Database(Protocol):
    """Read only, over one kept connection for each database."""

    def limits(self, database: str) -> DatabaseLimits: ...
    def utilization(self, database: str) -> Utilization: ...
    def state_breakdown(self, database: str) -> StateBreakdown:
        """One snapshot. Denied where the login could not see other users' sessions: never an empty answer for that."""
        ...

    def wait_events(self, database: str) -> WaitEvents: ...
    def replica_lag(self, database: str) -> ReplicaLag: ...
    def still_there(self, database: str, sessions: tuple[SessionRef, ...]) -> tuple[SessionRef, ...]:
        """Those that exist; one with a `query_start` only while it runs that statement."""
        ...


class DatabaseSessions(Protocol):
    """The two mutations of a session. Each re-checks the live row in the statement that signals it.

    Never reached: superusers, `spared`, other databases, BytePort itself, other backends than clients', and sessions
    that have written and block nobody.
    """

    def end_idle(
        self, database: str, sessions: tuple[SessionRef, ...], idle_for: timedelta, spared: Spared
    ) -> tuple[SessionFate, ...]:
        """End those that are still idle in transaction, for longer than `idle_for`. One fate for each session."""
        ...

    def end_statement(self, database: str, sessions: tuple[SessionRef, ...], spared: Spared) -> tuple[SessionFate, ...]:
        """End the sessions that still run that very statement."""
        ...

    def cancel(self, database: str, sessions: tuple[SessionRef, ...], spared: Spared) -> tuple[SessionFate, ...]:
        """Cancel that very statement; the session stays."""
        ...


class Pooler(Protocol):
    """The pooler in front of a database; None where none is configured."""

    def pools(self, database: str) -> PgbouncerPools | None: ...
    def default_pool_size(self, database: str) -> int:
        """What the running pooler uses now; Permanent where none is configured."""
        ...


class PoolerSettings(Protocol):
    """The one thing that may be changed at a pooler: it has no word for KILL, SHUTDOWN, PAUSE or SET."""

    def raise_default_pool_size(self, database: str, was: int, to: int) -> None:
        """Write `to` into the opted-in file and RELOAD. Permanent where the file says neither `was` nor `to`."""
        ...


class Deploys(Protocol):
    """What is known of the workloads that use a database; None where no such source is configured."""

    def last_deploy(self, database: str) -> DeployCorrelation | None: ...
    def app_pool_config(self, database: str) -> tuple[AppPoolConfig, ...] | None: ...
    def error_rate(self, database: str) -> ErrorRate | None: ...
    def rollout(self, workload: str) -> Rollout: ...


class Rollouts(Protocol):
    """Changes to a workload's rollout, each conditional on the revision that was seen."""

    def restart(self, workload: str, revision: str, mark: str) -> None:
        """Restart without surge: in one write the template gets `mark`, maxSurge is 0 and maxUnavailable at least 1.

        Nothing to do where the template carries `mark` already. Permanent where the revision is another one by now, or
        fewer than 2 replicas are wanted.
        """
        ...

    def restore_surge(self, workload: str, max_surge: str, max_unavailable: str) -> None:
        """Put the two back where they are still what `restart` made them; somebody's later choice is left alone."""
        ...
