"""Looks at a PostgreSQL server, all over its one kept connection."""

from __future__ import annotations

from byteport.grammar.evidence import probe
from byteport.model.facts.database import DatabaseLimits, ReplicaLag, StateBreakdown, WaitEvents
from byteport.model.target import Target
from byteport.ports import Readers

DATABASE = "database"


@probe(over=DATABASE)
def limits(target: Target, readers: Readers) -> DatabaseLimits:
    """How many clients the server takes, and what is reserved."""
    return readers.database.limits(target.key)


@probe(over=DATABASE)
def state_breakdown(target: Target, readers: Readers) -> StateBreakdown:
    """Who holds the slots: active, idle, idle in transaction, waiting for a lock."""
    return readers.database.state_breakdown(target.key)


@probe(over=DATABASE)
def wait_events(target: Target, readers: Readers) -> WaitEvents:
    """What sessions wait for, and the statements that run longest."""
    return readers.database.wait_events(target.key)


@probe(over=DATABASE)
def replica_lag(target: Target, readers: Readers) -> ReplicaLag:
    """How many bytes the furthest replica is behind."""
    return readers.database.replica_lag(target.key)
