"""Locks of plans: held by incidents, taken all or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from byteport.adapters.ledger.base import Stored, advise, lock_as_holder, now_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, clean
from byteport.records.change import Lease, LockConflict, LockWanted
from byteport.records.standing import HeldLock

TERM = timedelta(minutes=15)


class Locks(Stored):
    """One target, one hand."""

    def take_locks(self, lease: Lease, wanted: Sequence[LockWanted]) -> LockConflict | None:
        """Asked again by the same incident it renews. Raises Stale when the claim has passed on."""
        return self.run(lambda cursor: _take(cursor, lease, wanted))

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


def _take(cursor: Cursor, lease: Lease, wanted: Sequence[LockWanted]) -> LockConflict | None:
    keys = sorted({clean(lock.key) for lock in wanted})
    advise(cursor, "lock", keys)
    lock_as_holder(cursor, lease)
    now = now_of(cursor)
    cursor.execute("delete from byteport.locks where key = any(%s) and until < %s", [keys, now])
    cursor.execute(
        "select * from byteport.locks where key = any(%s) and incident <> %s order by since, incident",
        [keys, lease.incident],
    )
    others = cursor.fetchall()
    for lock in wanted:
        holders = [row for row in others if row["key"] == clean(lock.key)]
        if (conflict := _conflict(lock, holders)) is not None:
            return conflict
    for key in keys:
        _hold(cursor, lease.incident, [lock for lock in wanted if clean(lock.key) == key], now)
    return None


def _conflict(lock: LockWanted, others: Sequence[Row]) -> LockConflict | None:
    """Exclusive: nobody else. Shared: nobody exclusive. With a capacity: nobody exclusive, and a place left under the
    smallest capacity that any holder was granted."""
    alone = [row for row in others if row["exclusive"]]
    if lock.capacity > 0:
        limit = min([lock.capacity, *(row["capacity"] for row in others if row["capacity"] > 0)])
        in_the_way = alone or (others if len(others) >= limit else [])
    else:
        limit = 1
        in_the_way = list(others) if lock.exclusive else alone
    if not in_the_way:
        return None
    return LockConflict(
        key=lock.key, guard=lock.guard, holders=tuple(dict.fromkeys(row["incident"] for row in in_the_way)), limit=limit
    )


def _hold(cursor: Cursor, incident: str, wanted: Sequence[LockWanted], now: datetime) -> None:
    """One row a key: exclusive where any of its claimants is. A capacity is no exclusion."""
    exclusive = any(lock.exclusive and lock.capacity == 0 for lock in wanted)
    cursor.execute(
        """
        insert into byteport.locks as held (key, incident, exclusive, capacity, guard, since, until)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (key, incident) do update
        set exclusive = held.exclusive or excluded.exclusive, capacity = excluded.capacity, until = excluded.until
        """,
        [
            clean(wanted[0].key),
            incident,
            exclusive,
            max(lock.capacity for lock in wanted),
            clean(wanted[0].guard),
            now,
            now + TERM,
        ],
    )
