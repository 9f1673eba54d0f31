"""Who held how much of a host's memory in the last hours, so that it can be told what has grown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import clean, json
from byteport.model.facts.memory import History, Samples

KEPT = timedelta(hours=5)
SOURCE = "BytePort's own looks"


class MemoryLooks(Stored):
    """The `MemoryRecord` port."""

    def remember_memory(self, host: str, held: dict[str, int]) -> None:
        """One look; those that are too old are forgotten with it."""
        values: dict[str, Any] = {"host": clean(host), "held": json(held), "kept": KEPT}

        def note(cursor: Cursor) -> None:
            cursor.execute(
                """insert into byteport.memory_looks (host, at, held) values (%(host)s, byteport.clock(), %(held)s)
                   on conflict do nothing""",
                values,
            )
            cursor.execute(
                "delete from byteport.memory_looks where host = %(host)s and at < byteport.clock() - %(kept)s", values
            )

        self.run(note)

    def memory_of(self, host: str, since: timedelta) -> History | None:
        rows = self.rows(
            """select at, held from byteport.memory_looks
               where host = %(host)s and at > byteport.clock() - %(since)s order by at""",
            {"host": clean(host), "since": since},
        )
        if not rows:
            return None
        keys = dict.fromkeys(key for row in rows for key in row["held"])
        return History(
            source=SOURCE,
            series=tuple(
                Samples(key=key, points=tuple((row["at"], row["held"][key]) for row in rows if key in row["held"]))
                for key in keys
            ),
        )
