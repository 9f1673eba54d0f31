"""Locks of plans: held by incidents, taken all or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from byteport.adapters.ledger.base import Stored, ended
from byteport.adapters.ledger.rows import clean, json
from byteport.records.change import Lease, LockConflict, LockWanted
from byteport.records.standing import HeldLock


class Locks(Stored):
    """One target, one hand."""

    def take_locks(self, lease: Lease, wanted: Sequence[LockWanted]) -> LockConflict | None:
        """Asked again by the same incident it renews. Raises Stale when the claim has passed on."""
        asked = [
            {"key": clean(one.key), "exclusive": one.exclusive, "capacity": one.capacity, "guard": clean(one.guard)}
            for one in wanted
        ]
        with ended():
            row = self.row("select * from byteport.take_locks(%s, %s, %s)", [lease.incident, lease.token, json(asked)])
        if row is None:
            return None
        holders = tuple(dict.fromkeys(row["holders"]))
        return LockConflict(key=row["key"], guard=row["guard"], holders=holders, limit=row["at_most"])

    def held_locks(self) -> list[HeldLock]:
        """Those that have not lapsed."""
        found = self.rows(
            """
            select key, incident, exclusive, capacity, guard, since, until from byteport.locks
            where until >= byteport.clock() order by key, since, incident
            """
        )
        return [HeldLock.model_validate(row) for row in found]

    @contextmanager
    def alone(self, errand: str) -> Iterator[bool]:
        """An advisory lock, never waited for; it ends with the block, with the process, or after five minutes."""
        with self.database.transaction() as cursor:
            cursor.execute("set local idle_in_transaction_session_timeout = '5min'")
            cursor.execute("select pg_try_advisory_xact_lock(hashtextextended(%s, 1)) as ours", [f"byteport.{errand}"])
            row = cursor.fetchone()
            yield bool(row and row["ours"])
