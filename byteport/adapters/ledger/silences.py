"""Silences: ours, and those of other systems as they have them. They stop acting, not looking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, clean, json
from byteport.errors import BadInput
from byteport.records.standing import ForeignSilence, Matcher, SilenceRow
from byteport.redaction import redact, redact_text

OF_SIGNAL = ("runbook", "target", "kind", "signal", "source")


class Silences(Stored):
    """What is silenced, by whom, until when."""

    def silences(self) -> list[SilenceRow]:
        """Those that hold now or will, the one that ends first first."""
        found = self.rows(
            """
            select id, match, matchers, origin, why, who, since, until from byteport.silences
            where until > byteport.clock() order by until, id
            """
        )
        return [SilenceRow.model_validate({**row, "matchers": row["matchers"] or ()}) for row in found]

    def end_silence(self, silence: int, who: str) -> bool:
        """One of ours, now; whether it was one that held."""
        ended = self.rows(
            """
            update byteport.silences set until = byteport.clock(), ended_by = %s
            where id = %s and origin = '' and until > byteport.clock() returning id
            """,
            [clean(who), silence],
        )
        return bool(ended)

    def keep_silences(self, origin: str, found: Sequence[ForeignSilence]) -> None:
        """Those that the other system has now, and no others of its: what it has no more has ended."""

        def keep(cursor: Cursor) -> None:
            names = [f"{origin}/{silence.id}" for silence in found]
            cursor.execute(
                """
                delete from byteport.silences where starts_with(origin, %s) and origin <> all(%s)
                """,
                [clean(f"{origin}/"), [clean(name) for name in names]],
            )
            for name, silence in zip(names, found, strict=True):
                matchers = [matcher.model_dump(mode="json") for matcher in silence.matchers]
                cursor.execute(
                    """
                    insert into byteport.silences (match, why, who, since, until, origin, matchers)
                    values ('{"matchers": true}', %s, %s, %s, %s, %s, %s)
                    on conflict (origin) where origin <> '' do update set why = excluded.why, who = excluded.who,
                        since = excluded.since, until = excluded.until, matchers = excluded.matchers
                    """,
                    [
                        clean(redact_text(silence.why)), clean(silence.who), silence.since, silence.until,
                        clean(name), json(matchers),
                    ],
                )  # fmt: skip

        self.run(keep)

    def silence(self, match: Mapping[str, str], length: timedelta, why: str, who: str) -> int:
        """Raises BadInput for an empty match: it would mean everything. Labels are struck out as the signals' are, so a
        value that nobody may see matches every other such value of that label."""
        if not match:
            raise BadInput("match", "at least one label, runbook, target, kind, signal or source")
        (row,) = self.rows(
            """
            insert into byteport.silences (match, why, who, since, until)
            select %s, %s, %s, t.now, t.now + %s::interval from (select byteport.clock() as now) t returning id
            """,
            [json(_as_stored(match)), clean(why), clean(who), length],
        )
        return int(row["id"])


def silence_of(row: Row) -> dict[str, Any]:
    """Ours, else another system's that matches; where such silences have not been read for too long nobody knows."""
    if row["silence"]:
        return {"silence": row["silence"], "silenced_until": row["silenced_until"]}
    labels = {name: str(value) for name, value in (row["known"] or {}).items()}
    for told in row["matched"] or ():
        if all(Matcher.model_validate(one).agrees(labels) for one in told["matchers"]):
            return {"silence": told["why"], "silenced_until": told["until"]}
    if row["silences_unread"]:
        return {"silence": f"{row['silences_unread']} cannot be read: there may be one", "silenced_until": None}
    return {"silence": "", "silenced_until": None}


def _as_stored(match: Mapping[str, str]) -> dict[str, str]:
    labels = {name: value for name, value in match.items() if name not in OF_SIGNAL}
    return {**{name: value for name, value in match.items() if name in OF_SIGNAL}, **redact(labels)}
