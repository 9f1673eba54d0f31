"""Pollers: whose turn it is, and since when each has heard nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.outbox import post
from byteport.adapters.ledger.rows import clean, maybe, plain
from byteport.errors import BadInput
from byteport.model.base import canonical
from byteport.records.delivery import Message
from byteport.records.figures import LONGEST_MEMORY, PollerRow, Turn

LONGEST_LOOK = timedelta(seconds=35)  # of a task that polls: its hard limit

# Half a period: beat's ticks come a little early or late, and two beats or a tick that waited must not ask twice.
_BEGINS = """
insert into byteport.pollers as p (name, period, configuration, asked_at, since, looking_until)
select %(name)s, %(period)s, %(configuration)s, t.now, t.now, t.now + %(within)s
from (select byteport.clock() as now) t
on conflict (name) do update set period = excluded.period, asked_at = excluded.asked_at,
    looking_until = excluded.looking_until,
    since = case when p.configuration = excluded.configuration then p.since else excluded.since end,
    configuration = excluded.configuration
where p.asked_at <= excluded.asked_at - excluded.period / 2
  and coalesce(p.not_before <= excluded.asked_at, true)
  and coalesce(p.looking_until <= excluded.asked_at, true)
returning name, asked_at as at, since, memory
"""

_POLLED = """
update byteport.pollers set error = %(error)s,
    since = case when %(error)s = '' then byteport.clock() else since end,
    succeeded_at = case when %(error)s = '' then byteport.clock() else succeeded_at end,
    not_before = byteport.clock() + %(again_in)s::interval,
    memory = coalesce(%(memory)s::jsonb, memory), looking_until = null
where name = %(name)s and asked_at = %(at)s returning name
"""

_SILENT = """
insert into byteport.pollers as p (name, period, configuration, asked_at, since, error)
values (%(name)s, %(period)s, %(configuration)s, byteport.clock(), byteport.clock(), %(error)s)
on conflict (name) do update set period = excluded.period, asked_at = excluded.asked_at, error = excluded.error,
    since = case when p.configuration = excluded.configuration then p.since else excluded.since end,
    configuration = excluded.configuration
"""
_HEARD = """
update byteport.pollers
set asked_at = byteport.clock(), since = byteport.clock(), succeeded_at = byteport.clock(), error = ''
where starts_with(name, %(prefix)s) and told_at is not null and not name = any (%(silent)s)
"""
_FORGOTTEN = """
delete from byteport.pollers where starts_with(name, %(prefix)s) and told_at is null and not name = any (%(silent)s)
"""

_CHANGED = """
select name, period, extract(epoch from byteport.clock() - since)::float8 as silent_seconds, error, told_at,
       succeeded_at
from byteport.pollers
where configuration = %(configuration)s
  and (byteport.clock() - since > 3 * period) = (told_at is null)
order by name
for no key update skip locked
"""

_GONE = """
delete from byteport.pollers where configuration <> %(configuration)s and asked_at < byteport.clock() - 3 * period
"""

_ROWS = """
select name, period, extract(epoch from byteport.clock() - since)::float8 as silent_seconds, error, told_at,
       succeeded_at
from byteport.pollers where asked_at > byteport.clock() - interval '1 day' order by name
"""


class PollerRows(Stored):
    """What pollers and whoever watches them write down."""

    def poll_begins(self, name: str, period: timedelta, configuration: str) -> Turn | None:
        values = {"name": clean(name), "period": period, "configuration": clean(configuration), "within": LONGEST_LOOK}
        row = self.row(_BEGINS, values)
        return Turn.model_validate(row) if row else None

    def polled(
        self, turn: Turn, error: str, again_in: timedelta | None = None, memory: Mapping[str, Any] | None = None
    ) -> bool:
        if memory is not None and (size := len(canonical(plain(memory)))) > LONGEST_MEMORY:
            raise BadInput("memory", f"at most {LONGEST_MEMORY} bytes of JSON for a poller, got {size}")
        values = {"name": clean(turn.name), "at": turn.at, "again_in": again_in, "memory": maybe(memory)}
        return bool(self.rows(_POLLED, {**values, "error": clean(error)[:1000]}))

    def parts_polled(self, name: str, period: timedelta, configuration: str, silent: Mapping[str, str]) -> None:
        """A silent part is a source of its own while it is silent, and until it is told that it answers again."""
        known = {clean(f"{name}: {part}"): clean(error)[:1000] for part, error in silent.items()}
        values = {"period": period, "configuration": clean(configuration), "prefix": clean(f"{name}: ")}

        def note(cursor: Cursor) -> None:
            for part, error in known.items():
                cursor.execute(_SILENT, {**values, "name": part, "error": error})
            cursor.execute(_HEARD, {**values, "silent": list(known)})
            cursor.execute(_FORGOTTEN, {**values, "silent": list(known)})

        self.run(note)

    def pollers(self) -> list[PollerRow]:
        return [PollerRow.model_validate(row) for row in self.rows(_ROWS)]

    def tell_of_pollers(self, configuration: str, words: Callable[[PollerRow], Sequence[Message]]) -> int:
        """One transaction: who is told of, and that it was told."""

        def tell(cursor: Cursor) -> int:
            cursor.execute(_GONE, {"configuration": clean(configuration)})
            cursor.execute(_CHANGED, {"configuration": clean(configuration)})
            changed = [PollerRow.model_validate(row) for row in cursor.fetchall()]
            for poller in changed:
                post(cursor, None, words(poller))
                cursor.execute(
                    """
                    update byteport.pollers set told_at = case when told_at is null then byteport.clock() end
                    where name = %s
                    """,
                    [clean(poller.name)],
                )
            return len(changed)

        return self.run(tell)
