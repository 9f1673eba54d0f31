"""How the campaign sees: straight into the ledger and the patient, past the doors, changing nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

INTENT = re.compile(r"'(i[0-9a-f]{31})'")
ENDED = "(phase = 'closed' or phase = 'escalate' and escalated_at is not null)"
# Whose kill leaves which incidents behind.
IN_HANDS = {
    "act": "lease_until > byteport.clock() and (phase = 'act' or state ->> 'wants_hands' = 'true')",
    "decide": "lease_until > byteport.clock() and phase <> 'act'",
    "probe": "phase <> 'closed' and pending > 0",
}


class InHand(NamedTuple):
    """What a process was about: the statement that it had at the patient, for which intent."""

    pid: int
    intent: str
    acting: bool


class Mark(NamedTuple):
    """An incident that was hit: how it stood, and when (monotonic seconds)."""

    version: int
    token: str
    since: float
    what: str


@dataclass
class Eyes:
    """One connection each, opened anew where it was lost."""

    ledger_url: str
    patient_url: str
    marked: dict[str, Mark] = field(default_factory=dict)
    _lines: dict[str, psycopg.Connection[dict[str, Any]]] = field(default_factory=dict)

    def ledger(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        return self._ask(self.ledger_url, statement, values)

    def patient(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        return self._ask(self.patient_url, statement, values)

    def _ask(self, url: str, statement: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        line = self._lines.get(url)
        if line is None or line.closed:
            line = self._lines[url] = psycopg.connect(url, autocommit=True, row_factory=dict_row)
        cursor = line.execute(statement, values or None)  # type: ignore[call-overload]
        return list(cursor.fetchall()) if cursor.description else []

    def close(self) -> None:
        for line in self._lines.values():
            line.close()

    # -- the moment of a kill ----------------------------------------------------------------------------------------
    def in_hands_of(self, pids: Collection[int]) -> list[InHand]:
        """The intents for which these processes have a statement at the patient just now."""
        names = [f"ward-{pid}" for pid in pids]
        rows = self.patient(
            "select application_name, query from pg_stat_activity where state = 'active' and application_name = any(%s)",
            names,
        )
        found = [(int(row["application_name"][5:]), INTENT.search(row["query"]), row["query"]) for row in rows]
        return [InHand(pid, hit[1], query.startswith("/* acts */")) for pid, hit, query in found if hit]

    def open_among(self, intents: Sequence[str]) -> list[dict[str, Any]]:
        """Those that have no outcome, as they stand."""
        return self.ledger(
            "select key, incident, attempts, answered_at, byteport.clock() as now from byteport.intents"
            " where key = any(%s) and outcome is null",
            list(intents),
        )

    # -- recoveries --------------------------------------------------------------------------------------------------
    def mark(self, role: str, what: str) -> None:
        """Remember what a process of this role may have had in its hands. One that was left before keeps its time."""
        if role not in IN_HANDS:
            return
        rows = self.ledger(
            f"select id, version, coalesce(lease_token, '') as token from byteport.incidents where {IN_HANDS[role]}"
        )
        for row in rows:
            known = self.marked.get(row["id"])
            if known is None or (known.version, known.token) != (row["version"], row["token"]):
                self.marked[row["id"]] = Mark(row["version"], row["token"], monotonic(), what)

    def recovered(self) -> list[tuple[float, str]]:
        """Those that have moved on since: after how many seconds, and what had hit them."""
        if not self.marked:
            return []
        rows = self.ledger(
            f"select id, version, phase, {ENDED} as ended from byteport.incidents where id = any(%s)", list(self.marked)
        )
        found = []
        for row in rows:
            mark = self.marked[row["id"]]
            if row["version"] > mark.version or row["ended"]:
                found.append((monotonic() - mark.since, f"{mark.what}, {row['id']}"))
                del self.marked[row["id"]]
        return found

    # -- how far it is -----------------------------------------------------------------------------------------------
    def in_flight(self) -> list[dict[str, Any]]:
        """Incidents that have not ended."""
        return self.ledger(f"select id, phase, round from byteport.incidents where not {ENDED} order by id")

    def unsettled(self) -> dict[str, int]:
        """What still has to happen before everything has ended."""
        (row,) = self.ledger(
            f"""
            select (select count(*) from byteport.incidents where not {ENDED}) as incidents,
                   (select count(*) from byteport.intents where outcome is null) as intents,
                   (select count(*) from byteport.obligations where state = 'owed' and begun_at is not null) as undos,
                   (select count(*) from byteport.deliveries where state in ('due', 'sending')) as messages
            """
        )
        return {name: int(count) for name, count in row.items() if count}

    def settling(self, hits: dict[str, datetime]) -> list[tuple[float, str]]:
        """The seconds from a kill to the outcome of the intent that it hit, each with the intent's own story."""
        rows = self.ledger(
            """
            select key, incident, action ->> 'kind' as kind, direction, attempts, outcome ->> 'outcome' as outcome,
                   extract(epoch from begun_at - opened_at) as begun, opened_at, settled_at
            from byteport.intents where key = any(%s) and settled_at is not null
            """,
            list(hits),
        )
        return [((row["settled_at"] - hits[row["key"]]).total_seconds(), _story(row, hits[row["key"]])) for row in rows]


def _story(row: dict[str, Any], hit: datetime) -> str:
    after = {name: f"{(row[name] - hit).total_seconds():+.0f} s" for name in ("opened_at", "settled_at")}
    begun = "never begun" if row["begun"] is None else f"begun {row['begun']:.0f} s after its opening"
    return (
        f"{row['incident']}: {row['direction']} {row['kind'].rpartition(':')[2]}, opened {after['opened_at']} of the kill, "
        f"{begun}, {row['attempts']} attempts, {row['outcome']} {after['settled_at']}"
    )
