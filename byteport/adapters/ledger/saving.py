"""Saving a move: the incident and everything that goes with it, all or none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from byteport.adapters.ledger.base import Stored, ended, lock_as_holder
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.intents import settle_obligation
from byteport.adapters.ledger.moves import lease_of
from byteport.adapters.ledger.outbox import as_posted
from byteport.adapters.ledger.owed_looks import owe
from byteport.adapters.ledger.rows import OF_SAVED, Row, json, known_of, saved_as, state_of
from byteport.adapters.ledger.signals import admit
from byteport.errors import Permanent, Stale
from byteport.records.change import Change, Claimed, Lease, since_boot
from byteport.records.event import Event
from byteport.records.evidence import StoredAnswer
from byteport.records.incident import Incident, Phase
from byteport.stores_signals import Opening

# What the claim has not read of `nudges` and `commands` came while the move was made: it stays due, they stay unread.
_SAVE = "select " + ", ".join(OF_SAVED) + " from byteport.save_move(%(move)s) s"  # noqa: S608 (columns of ours)
_SAVE_AND_READ = (
    "select s.answers, s.intents, s.owed, s.events, "  # noqa: S608
    + ", ".join(f"(s.incident).{name}" for name in OF_SAVED)
    + " from byteport.save_and_read(%(move)s) s"
)

# Nothing is posted where the move is not saved.
_POSTING = """
), posted as materialized (select byteport.post(id, %(messages)s) from saved) select saved.* from saved, posted
"""
_SAVE_AND_POST = "with saved as materialized (" + _SAVE + _POSTING


class Saving(Stored):
    """The end of every move."""

    def save(self, change: Change, lease: Lease) -> Incident:
        """Raises Stale also when a signal came during the last move: the claim ends and the move is repeated."""
        return saved_as(_stored(change), self._saved(change, lease, goes_on=False))

    def save_and_claim(self, change: Change, lease: Lease, answers: tuple[StoredAnswer, ...] | None = None) -> Claimed:
        asked_at = since_boot()
        row = self._saved(change, lease, goes_on=True, unread=answers is None)
        known = known_of(row) if answers is None else known_of(row).model_copy(update={"answers": answers})
        return Claimed(incident=saved_as(_stored(change), row), lease=lease_of(row, asked_at), known=known)

    def _saved(self, change: Change, lease: Lease, *, goes_on: bool, unread: bool = False) -> Row:
        """A move that leaves nothing but the incident and its journal is one statement; else a transaction."""
        asked = _asked(change, lease, goes_on=goes_on) | {"unread": unread}
        has_more = change.child or change.settled or change.owes_look
        with ended():
            if has_more:
                found = self.run(lambda cursor: _with_the_rest(cursor, change, lease, asked))
            else:
                found = self.row(_statement(change, goes_on=goes_on), _parameters(asked, change))
        if found is None or found["id"] is None:
            raise Stale(f"a signal came while {lease.incident} was being closed")
        return found


def _statement(change: Change, *, goes_on: bool) -> str:
    if change.messages:
        return _SAVE_AND_POST
    return _SAVE_AND_READ if goes_on else _SAVE


def _asked(change: Change, lease: Lease, *, goes_on: bool) -> dict[str, Any]:
    incident, look = change.incident, change.look
    if incident.id != lease.incident:
        raise Stale(f"the claim is on {lease.incident}, not on {incident.id}")
    return {
        "id": incident.id, "token": lease.token, "version": incident.version, "page": incident.page,
        "phase": str(incident.phase), "mode": str(incident.mode), "ending": incident.ending, "reason": incident.reason,
        "state": state_of(_stored(change)), "due_at": incident.due_at.isoformat(), "command": incident.command,
        "command_by": incident.command_by, "command_why": incident.command_why, "acted_at": _iso(incident.acted_at),
        "escalated_at": _iso(incident.escalated_at), "pending": incident.pending, "locked": incident.locked,
        "lets_go": change.release_locks, "events": list(map(dict, change.events)), "looks": look is not None,
        "groups": look.groups if look is not None else {}, "lease": look.lease_seconds if look is not None else 0.0,
        "deadline": look.deadline_seconds if look is not None else 0.0, "goes_on": goes_on, "tokens": change.taken,
        "at_once": not _may_be_lost(change),
        "story": change.postmortem.record if change.postmortem is not None else None,
        "story_text": change.postmortem.markdown if change.postmortem is not None else "",
    }  # fmt: skip


def _may_be_lost(change: Change) -> bool:
    """With the database server: it is only decided, and is decided again."""
    more = (change.messages, change.postmortem, change.settled, change.child)
    return not any(more) and change.incident.phase not in (Phase.ESCALATE, Phase.CLOSED)


def _parameters(move: dict[str, Any], change: Change) -> dict[str, Any]:
    posted = {"messages": json(as_posted(change.messages))} if change.messages else {}
    return {"move": json(move), **posted}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _stored(change: Change) -> Incident:
    let_go = change.release_locks or change.incident.phase is Phase.CLOSED
    return change.incident.model_copy(update={"locked": False}) if let_go else change.incident


def _with_the_rest(cursor: Cursor, change: Change, lease: Lease, asked: dict[str, Any]) -> Row | None:
    """Whatever goes with the move is written under the incident's lock; where the move is not saved, neither is it."""
    row = lock_as_holder(cursor, lease)
    if row["version"] != change.incident.version:
        raise Stale(f"{row['id']} has moved on to version {row['version']}, this is {change.incident.version}")
    told = [*change.events, *_hand_over(cursor, change, row)]
    move = asked | {"events": list(map(dict, told))}
    cursor.execute(_statement(change, goes_on=asked["goes_on"]).encode(), _parameters(move, change))
    saved = cursor.fetchone()
    if saved is None or saved["id"] is None:
        return None
    for settlement in change.settled:
        settle_obligation(cursor, settlement)
    if change.owes_look is not None:
        owe(cursor, lease.incident, change.owes_look)
    return saved


def _hand_over(cursor: Cursor, change: Change, row: Row) -> list[Event]:
    """Open the child; it starts with nothing of its parent's but the target and the person. Depth 1."""
    if change.child is None:
        return []
    if row["parent"]:
        raise Permanent(f"{row['id']} was handed over itself and cannot be handed over again")
    if change.child_runbook in ("", row["runbook"]):
        raise Permanent(f"{row['id']} cannot be handed over to {change.child_runbook or 'no page'}")
    opening = Opening(
        signal=change.child.model_copy(update={"event_id": ""}),
        runbook=change.child_runbook,
        page=change.child_page,
        mode=change.child_mode,
        person=change.incident.person,
        parent=row["id"],
    )
    admission = admit(cursor, opening)
    told = {"child": admission.incident, "runbook": change.child_runbook, "absorbed": admission.absorbed}
    return [Event(kind="handed_over", text=f"to {change.child_runbook} as {admission.incident}", data=told)]
