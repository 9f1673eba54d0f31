"""What came of it: effects and caps from the patient's own record, messages from what arrived, ends from the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.chaos.eyes import Eyes
from tests.chaos.shapes import scope_of
from tests.chaos.source import answered

Rows = list[dict[str, Any]]
# A window begins with the attempt; its effect may follow by the action's time-out.
TIMEOUT = timedelta(seconds=5)


@dataclass
class Verdict:
    """`ended` counts incidents by state; every other list has one line for each thing that must not be."""

    signals: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    exceeded: list[str] = field(default_factory=list)
    messages_lost: list[str] = field(default_factory=list)
    messages_doubled: list[str] = field(default_factory=list)
    effects: int = 0
    messages: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.exceeded or self.messages_lost or self.messages_doubled)


def judge(eyes: Eyes, record: Path, arrived: Mapping[str, int], journal: Path) -> Verdict:
    """Everything at once; nothing here trusts what the ledger says of effects and caps."""
    effects = eyes.patient("select * from effects order by began, at")
    incidents = eyes.ledger("select * from byteport.incidents order by id")
    verdict = Verdict(effects=len(effects), messages=sum(arrived.values()))
    _signals(verdict, record, {row["id"] for row in incidents})
    _ends(verdict, eyes, incidents)
    _effects(verdict, eyes, effects)
    verdict.doubled += doubled(effects)
    verdict.exceeded += exceeded(effects)
    told = Counter(arrived) + Counter(path.stem for path in journal.glob("*.md"))
    _messages(verdict, eyes, incidents, told)
    return verdict


def _signals(verdict: Verdict, record: Path, known: set[str]) -> None:
    """Answered with success means stored."""
    told = answered(record)
    verdict.signals = len(told)
    verdict.lost += [
        f"signal {one['event']}: incident {one['incident']}" for one in told if one["incident"] not in known
    ]


def _ends(verdict: Verdict, eyes: Eyes, incidents: Rows) -> None:
    valves = {row["name"]: row for row in eyes.patient("select * from valves")}
    relapsed = {row["valve"] for row in eyes.patient("select valve from relapses")}
    for row in incidents:
        if row["phase"] == "closed":
            verdict.ended[row["ending"] or "closed"] += 1
        elif row["phase"] == "escalate" and row["escalated_at"] is not None:
            verdict.ended["escalated"] += 1
        else:
            verdict.lost.append(f"incident {row['id']} ({row['runbook']}) has not ended: {row['phase']}")
        well = not valves[row["target_key"]]["leaking"] or row["target_key"] in relapsed
        if row["ending"] == "resolved" and not well:
            verdict.lost.append(f"incident {row['id']} is resolved, but {row['target_key']} leaks")
    for row in eyes.ledger("select * from byteport.obligations where state = 'owed' and begun_at is not null"):
        verdict.lost.append(f"undo {row['id']} of {row['incident']} is still owed")
    undone = eyes.ledger(
        "select o.id, i.target_key from byteport.obligations o join byteport.incidents i on i.id = o.incident"
        " where o.state = 'done'"
    )
    verdict.lost += [
        f"undo {row['id']}: {row['target_key']} is not back"
        for row in undone
        if valves[row["target_key"]]["value"] != 0
    ]


def _effects(verdict: Verdict, eyes: Eyes, effects: Rows) -> None:
    """What the ledger says was done was done; what was done is not said to have never happened."""
    happened = {row["intent"] for row in effects}
    known = set()
    for intent in eyes.ledger("select key, incident, attempts, outcome from byteport.intents"):
        known.add(intent["key"])
        outcome = intent["outcome"]
        where = f"intent {intent['key']} of {intent['incident']}"
        if outcome is None:
            verdict.lost.append(f"{where} is not settled")
        elif outcome["outcome"] == "done" and outcome["ours"] and intent["key"] not in happened:
            verdict.lost.append(f"{where} is said to be done, but never happened")
        elif intent["key"] in happened and outcome["outcome"] != "done" and not outcome.get("unknown"):
            verdict.lost.append(f"{where} happened, but is said to have {outcome}")
    verdict.lost += [f"effect of {intent}, which nobody knows" for intent in happened - known]


def doubled(effects: Rows) -> list[str]:
    """A pulse with two rows, or a state whose second row changed something."""
    by_intent: dict[str, Rows] = defaultdict(list)
    for row in effects:
        by_intent[row["intent"]].append(row)
    return [
        f"{row['kind']} of {row['valve']} again ({intent})"
        for intent, rows in by_intent.items()
        for row in rows[1:]
        if row["kind"] == "pulse" or row["before"] != row["after"]
    ]


def exceeded(effects: Rows) -> list[str]:
    """Every cap that stands on the pages, and the ceiling on writes, counted from the patient's record alone."""
    by_page = lambda *names: [row for row in effects if row["page"] in [f"ward_{n}" for n in names]]  # noqa: E731
    minute, ten, day = timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=24)
    return [
        *_over("global_writes", effects, lambda row: scope_of(row["valve"]), 10, ten),
        *_over("brief", by_page("brief"), lambda row: scope_of(row["valve"]), 3, minute),
        *_over("turns_a_day", by_page("limited"), lambda row: row["valve"], 1, day),
        *_over("batch_cap", by_page("batched"), lambda row: row["valve"], 3, minute, by_amount=True),
        *_over("per_incident", by_page("ceiled"), lambda row: row["valve"], 1, ten),
        *_over("cooldown", by_page("one", "failing", "crowded"), lambda row: f"{row['page']} {row['valve']}", 1, ten),
        *(f"dry run: {row['valve']} was changed" for row in by_page("shy")),
    ]


def _over(
    name: str, rows: Iterable[dict[str, Any]], key: Any, limit: int, per: timedelta, *, by_amount: bool = False
) -> list[str]:
    """Effects that came when their window was full. What is undone counts, and is never held up by a cap."""
    recent: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    found = []
    for row in rows:
        where, amount = key(row), row["amount"] if by_amount else 1
        within = [one for one in recent[where] if row["began"] - one[0] < per - TIMEOUT]
        recent[where] = [*within, (row["began"], amount)]
        used = sum(one for _, one in recent[where])
        if used > limit and row["kind"] != "undo" and row["before"] != row["after"]:
            found.append(f"{name}: {used} of {limit} on {where} at {row['began']:%H:%M:%S}")
    return found


def _messages(verdict: Verdict, eyes: Eyes, incidents: Rows, told: Counter[str]) -> None:
    """An escalation that was stored arrives, once."""
    rows = eyes.ledger("select id, incident, state, repeats, message ->> 'kind' as kind from byteport.deliveries")
    for row in rows:
        if row["state"] != "suppressed" and not told[row["id"]]:
            verdict.messages_lost.append(
                f"{row['kind']} {row['id']} of {row['incident']}: {row['state']}, never arrived"
            )
        if row["state"] == "suppressed" and not told[row["repeats"]]:
            verdict.messages_lost.append(f"{row['kind']} {row['id']} repeats {row['repeats']}, which never arrived")
    escalations = {row["incident"] for row in rows if row["kind"] == "escalation"}
    verdict.messages_lost += [
        f"{row['id']} is escalated without a word"
        for row in incidents
        if row["escalated_at"] is not None and row["id"] not in escalations
    ]
    known = {row["id"] for row in rows}
    verdict.messages_doubled += [f"{marker} arrived {n} times" for marker, n in told.items() if n > 1]
    verdict.messages_doubled += [f"{marker} is nobody's" for marker in told if marker not in known]
