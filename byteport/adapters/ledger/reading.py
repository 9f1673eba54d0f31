"""What people and tools read: the journal, listings, postmortems; and the retention that forgets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from byteport.adapters.ledger.base import Stored, append, lock_incident, now_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, clean, read_incident
from byteport.errors import BadInput
from byteport.grammar.plan import Plan
from byteport.model.signal import Mode
from byteport.records.delivery import Postmortem
from byteport.records.event import Event, StoredEvent
from byteport.records.incident import Incident, Phase
from byteport.stores import Listing

ENDING = ("cancel", "close")
COMMANDS = (*ENDING, "ack", "approve")

_LISTING = """
select id, runbook, target_kind || ':' || target_key as target, phase, mode, severity, ending, reason, opened_at,
       closed_at, signals_seen, kept.diagnosis ->> 'name' as class,
       (kept.diagnosis ->> 'confidence')::int as confidence, jsonb_typeof(kept.plan) = 'object' as planned
from byteport.incidents, jsonb_to_record(state) as kept (diagnosis jsonb, plan jsonb)
where {which} order by opened_at desc, id desc limit %(most)s
"""
# Four questions rather than one with cases in it: each is answered along an index of its own order.
_OPEN = "phase <> 'closed'"
_OLDER = "(opened_at, id) < (select opened_at, id from byteport.incidents where id = %(before)s)"

# Rows of an incident go with it. Spends stay until their windows have passed: forgetting gives no budget back.
_FORGET = """
delete from byteport.incidents where id in (
    select id from byteport.incidents i
    where phase = 'closed' and closed_at < byteport.clock() - %s::interval
      and not exists (select from byteport.deliveries d where d.incident = i.id and d.state in ('due', 'sending'))
      and not exists (select from byteport.owed_looks o where o.incident = i.id and o.looker is null)
    order by closed_at limit %s
)
"""
_FORGET_SPENDS = """
delete from byteport.spends s
where (not byteport.counts_in(s, s.window_seconds, byteport.clock())
       or s.window_seconds = 0 and right(s.claim_key, length(s.incident) + 1) = ':' || s.incident)
  and s.spent_at < byteport.clock() - %s::interval
  and not exists (select from byteport.incidents i where i.id = s.incident)
"""
_FORGET_SIGNALS = """
delete from byteport.signals where incident is null and received_at < byteport.clock() - %s::interval
"""
_ADD_UP = """
with lines as (delete from byteport.endings returning ending, n)
insert into byteport.endings select ending, sum(n) from lines group by ending having sum(n) <> 0
"""
_FORGET_NOTICES = """
delete from byteport.deliveries where incident is null and state not in ('due', 'sending')
  and created_at < byteport.clock() - %s::interval
"""


class Reading(Stored):
    """The journal and the lists."""

    def events(self, incident_id: str, after_seq: int = 0) -> list[StoredEvent]:
        found = self.rows(
            "select * from byteport.events where incident = %s and seq > %s order by seq", [incident_id, after_seq]
        )
        return [StoredEvent.model_validate(row) for row in found]

    def append(self, incident_id: str, events: Sequence[Event]) -> None:
        """Raises BadInput for an unknown incident."""

        def add(cursor: Cursor) -> None:
            lock_incident(cursor, incident_id)
            append(cursor, incident_id, events)

        self.run(add)

    def postmortem(self, incident_id: str) -> Postmortem | None:
        row = self.row("select incident, record, markdown from byteport.postmortems where incident = %s", [incident_id])
        return None if row is None else Postmortem.model_validate(row)

    def listing(self, *, open_only: bool = False, limit: int = 50, before: str = "") -> list[Listing]:
        """Newest first; `before` is the id of the last line of the page before."""
        which = " and ".join((_OPEN,) * open_only + (_OLDER,) * bool(before)) or "true"
        found = self.rows(_LISTING.format(which=which), {"before": before, "most": limit})
        return [_listed(row) for row in found]

    def command(self, incident_id: str, word: str, who: str, why: str, plan: str = "") -> Incident:
        """Read by the next move, also where one is being made; one that is not read yet is taken back by nothing, and
        a `cancel` or `close` goes before an approval. `ack` is written down, and wakes what waits for people."""
        if word not in COMMANDS:
            raise BadInput("command", f"one of {', '.join(COMMANDS)}, got {word!r}")
        return self.run(lambda cursor: _command(cursor, incident_id, word, who, why, plan))

    def forget_before(self, age: timedelta, limit: int = 1000) -> int:
        def forget(cursor: Cursor) -> int:
            cursor.execute(_FORGET, [age, limit])
            forgotten = cursor.rowcount
            cursor.execute(_ADD_UP)
            cursor.execute(_FORGET_SPENDS, [age])
            cursor.execute(_FORGET_SIGNALS, [age])
            cursor.execute("delete from byteport.silences where until < byteport.clock() - %s::interval", [age])
            cursor.execute("delete from byteport.vetoes where until < byteport.clock() - %s::interval", [age])
            cursor.execute("delete from byteport.pollers where asked_at < byteport.clock() - interval '7 days'")
            cursor.execute(_FORGET_NOTICES, [age])
            cursor.execute("delete from byteport.processes where seen_at < byteport.clock() - interval '1 day'")
            return forgotten

        return self.run(forget)


@cache
def _word(phase: str, mode: str, ending: str, planned: bool) -> str:
    """As `Incident.word`; there are few, and a page asks for hundreds."""
    plan = Plan() if planned else None  # which one makes no difference to the word
    shown: dict[str, Any] = {"phase": Phase(phase), "mode": Mode(mode), "ending": ending}
    return Incident.model_construct(plan=plan, **shown).word


def _listed(row: Row) -> Listing:
    return Listing(
        id=row["id"],
        runbook=row["runbook"],
        target=row["target"],
        word=_word(row["phase"], row["mode"], row["ending"], bool(row["planned"])),
        classification=row["class"] or "",
        confidence=row["confidence"],
        mode=row["mode"],
        severity=row["severity"],
        opened_at=row["opened_at"].isoformat(),
        closed_at=row["closed_at"].isoformat() if row["closed_at"] else None,
        reason=row["reason"],
        signals=row["signals_seen"],
    )


def _command(cursor: Cursor, incident_id: str, word: str, who: str, why: str, plan: str) -> Incident:
    row = lock_incident(cursor, incident_id)
    if row["phase"] == "closed":
        raise BadInput("incident", f"an open incident; {incident_id} has ended")
    if word == "approve":
        _refuse_approval(row, plan, now_of(cursor))
    cursor.execute(
        """
        update byteport.incidents set
            command = case when %(stands)s then %(word)s else command end,
            command_by = case when %(stands)s then %(who)s else command_by end,
            command_why = case when %(stands)s then %(why)s else command_why end,
            commands = commands + %(stands)s::int,
            acknowledged_at = case when %(word)s = 'ack' then coalesce(acknowledged_at, byteport.clock())
                              else acknowledged_at end,
            acknowledged_by = case when %(word)s = 'ack' and acknowledged_at is null then %(who)s
                              else acknowledged_by end,
            nudges = nudges + %(wakes)s::int,
            due_at = case when %(wakes)s then least(due_at, byteport.clock()) else due_at end,
            woken_at = case when %(wakes)s then null else woken_at end
        where id = %(id)s
        returning *
        """,
        {
            "word": word,
            "who": clean(who),
            "why": clean(why),
            "id": incident_id,
            "stands": row["command"] not in ENDING and word in (*ENDING, "approve") and word != row["command"],
            "wakes": word != "ack" or row["phase"] == Phase.ESCALATE,
        },
    )
    commanded = read_incident(cursor.fetchall()[0])
    append(
        cursor, incident_id, [Event(kind="command", text=f"{word} by {who}: {why}", data={"command": word, "who": who})]
    )
    return commanded


def _refuse_approval(row: Row, seen: str, now: datetime) -> None:
    """Raises BadInput where no plan waits for one, its time is over, or a person has ended the incident meanwhile."""
    if row["command"] in ENDING:
        raise BadInput("command", f"nothing more; {row['command_by']} has given the word {row['command']!r}")
    if not (row["phase"] == Phase.PLAN and row["mode"] == Mode.APPROVE and row["state"]["plan"]):
        raise BadInput("command", f"approve only while a plan waits for approval; {row['id']} has none that does")
    if row["state"].get("attempt", 0) % 2:
        raise BadInput("command", f"nothing more; the plan of {row['id']} is approved and looked at again")
    until = read_incident(row).approve_by
    if until is not None and until <= now:
        raise BadInput("command", f"an approval by {until:%H:%M:%S} UTC; that of {row['id']} comes too late")
    waiting = read_incident(row).plan
    if seen and (waiting is None or waiting.digest != seen):
        raise BadInput("plan", f"the plan that waits by now; that of {row['id']} was made anew since you saw it")
