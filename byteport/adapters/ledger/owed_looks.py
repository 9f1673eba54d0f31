"""Looks that closed incidents owe: dates in rows of their own, each taken once."""

from __future__ import annotations

from datetime import timedelta

from byteport.adapters.ledger.base import Stored, advise, append
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, read_incident
from byteport.adapters.ledger.signals import admit, open_one
from byteport.records.event import Event
from byteport.records.incident import Incident, Phase
from byteport.stores_signals import Admission, Opening

_DUE = """
select i.*, o.due_at as due_at from byteport.owed_looks o join byteport.incidents i on i.id = o.incident
where o.looker is null and o.due_at <= byteport.clock()
  and not exists (select from byteport.incidents u where u.runbook = i.runbook and u.target_key = i.target_key
                  and u.phase <> 'closed' and (u.phase <> 'escalate' or u.escalated_at is null))
order by o.due_at limit %s
"""
_MINE = """
select incident from byteport.owed_looks
where incident = %s and looker is null and due_at <= byteport.clock() for no key update skip locked
"""


class OwedLooks(Stored):
    """What the housekeeping asks, and does."""

    def looks_due(self, limit: int = 20) -> list[Incident]:
        return [read_incident(row) for row in self.rows(_DUE, [limit])]

    def take_look(self, incident_id: str, opening: Opening) -> Admission | None:
        return self.run(lambda cursor: _taken(cursor, incident_id, opening))


def owe(cursor: Cursor, incident: str, after: timedelta) -> None:
    """With the move that closes it."""
    cursor.execute(
        """
        insert into byteport.owed_looks (incident, due_at)
        select id, closed_at + %s from byteport.incidents where id = %s on conflict do nothing
        """,
        [after, incident],
    )


def _taken(cursor: Cursor, owing: str, opening: Opening) -> Admission | None:
    """Serialised with every signal of the same page and target."""
    cursor.execute(_MINE, [owing])
    if cursor.fetchone() is None:
        return None
    advise(cursor, "fingerprint", [f"{opening.runbook}:{opening.signal.target.key}"])
    beside = open_one(cursor, opening.runbook, opening.signal.target.key)
    if beside is not None and not _is_with_people(beside):
        return None
    heard = Admission(incident=beside["id"], absorbed=True) if beside is not None else None
    admission = heard or admit(cursor, opening)
    looker = admission.incident
    cursor.execute("update byteport.owed_looks set looker = %s where incident = %s", [looker, owing])
    told = {"incident": looker, "absorbed": admission.absorbed}
    by = f"left to {looker}, which people have heard of" if admission.absorbed else f"by {looker}"
    append(cursor, owing, [Event(kind="looked_again", text=by, data=told)])
    append(cursor, looker, [Event(kind="follows", text=f"a look that {owing} owes", data={"incident": owing})])
    return admission


def _is_with_people(row: Row) -> bool:
    return row["phase"] == Phase.ESCALATE and row["escalated_at"] is not None
