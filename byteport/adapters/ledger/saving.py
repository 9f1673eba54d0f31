"""Saving a move: the incident and everything that goes with it, all or none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored, append, lock_as_holder, now_of, renew_locks
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.intents import settle_obligation
from byteport.adapters.ledger.outbox import post
from byteport.adapters.ledger.rows import Row, clean, json, read_incident, state_of
from byteport.adapters.ledger.signals import admit
from byteport.errors import Permanent, Stale
from byteport.records.change import Change, Lease
from byteport.records.delivery import Postmortem
from byteport.records.event import Event
from byteport.records.evidence import Round
from byteport.records.incident import Incident, Phase
from byteport.stores_signals import Opening

# What the claim has not read of `nudges` and `commands` came while the move was made: it stays due, they stay unread.
_SAVE = """
update byteport.incidents set
    page = %(page)s, phase = %(phase)s, mode = %(mode)s, round = %(round)s, pending = %(pending)s, ending = %(ending)s,
    reason = %(reason)s, version = version + 1, state = %(state)s,
    due_at = case when nudges > nudges_read then least(%(due_at)s, claimed_at) else %(due_at)s end,
    command = case when commands > commands_read then command else %(command)s end,
    command_by = case when commands > commands_read then command_by else %(command_by)s end,
    command_why = case when commands > commands_read then command_why else %(command_why)s end,
    acted_at = coalesce(acted_at, %(acted_at)s), escalated_at = coalesce(%(escalated_at)s, escalated_at),
    closed_at = %(closed_at)s, lease_token = null, lease_until = null, claimed_by = '', woken_at = null,
    claims_in_vain = 0,
    driver_until = case when driver <> '' then %(now)s::timestamptz + interval '60 seconds' end
where id = %(id)s
returning *
"""


class Saving(Stored):
    """The end of every move."""

    def save(self, change: Change, lease: Lease) -> Incident:
        """Raises Stale also when a signal came during the last move: the claim ends and the move is repeated."""
        saved = self.run(lambda cursor: _save(cursor, change, lease))
        if saved is None:
            raise Stale(f"a signal came while {lease.incident} was being closed")
        return saved


def _save(cursor: Cursor, change: Change, lease: Lease) -> Incident | None:
    incident = change.incident
    row = lock_as_holder(cursor, lease)
    if row["id"] != incident.id or row["version"] != incident.version:
        raise Stale(f"{incident.id} has moved on to version {row['version']}, this is {incident.version}")
    closing = incident.phase is Phase.CLOSED
    if closing:
        _refuse_unsettled(cursor, incident.id)
        if row["signals_seen"] > row["signals_read"]:
            _let_go(cursor, incident.id)
            return None
    now = now_of(cursor)
    if change.look is not None:
        _open_round(cursor, incident.id, row["round"] + 1, change.look)
    locked = _keep_locks(cursor, incident, release=change.release_locks or closing)
    told = [*change.events, *_hand_over(cursor, change, row)]
    if change.postmortem is not None:
        _write(cursor, change.postmortem)
    if change.messages:
        post(cursor, incident.id, change.messages, now)
    for settlement in change.settled:
        settle_obligation(cursor, settlement)
    append(cursor, incident.id, told)
    stored = incident.model_copy(update={"locked": locked})
    cursor.execute(_SAVE, _columns(stored, change.look, row, now))
    saved = cursor.fetchone()
    return None if saved is None else read_incident(saved)


def _columns(incident: Incident, look: Round | None, row: Row, now: datetime) -> dict[str, Any]:
    closed_at = now if incident.phase is Phase.CLOSED else None
    return {
        "id": incident.id,
        "page": incident.page,
        "phase": str(incident.phase),
        "mode": str(incident.mode),
        "round": row["round"] + (look is not None),
        "pending": _pending(incident, look, row),
        "ending": incident.ending,
        "reason": clean(incident.reason),
        "due_at": _due(incident, look, now),
        "now": now,
        "command": incident.command,
        "command_by": clean(incident.command_by),
        "command_why": clean(incident.command_why),
        "acted_at": incident.acted_at,
        "escalated_at": incident.escalated_at,
        "closed_at": closed_at,
        "state": state_of(incident),
    }


def _pending(incident: Incident, look: Round | None, row: Row) -> int:
    """A new round's groups; else what is still out, never more than the row has: answers came meanwhile. A phase that
    is left takes its round with it."""
    if look is not None:
        return len(look.groups)
    return min(row["pending"], incident.pending) if incident.phase == row["phase"] else 0


def _due(incident: Incident, look: Round | None, now: datetime) -> datetime:
    """A round without a later date is due at its deadline; one that asks nobody is due at once."""
    if look is None:
        return incident.due_at
    if not look.groups:
        return min(incident.due_at, now)
    return incident.due_at if incident.due_at > now else now + timedelta(seconds=look.deadline_seconds)


def _refuse_unsettled(cursor: Cursor, incident: str) -> None:
    cursor.execute("select key, move from byteport.intents where incident = %s and outcome is null", [incident])
    open_ones = [f"intent {row['move']} ({row['key']})" for row in cursor.fetchall()]
    cursor.execute(
        """
        select id, move from byteport.obligations where incident = %s and state = 'owed' and begun_at is not null
        """,
        [incident],
    )
    open_ones += [f"undo of {row['move']} ({row['id']})" for row in cursor.fetchall()]
    if open_ones:
        raise Permanent(f"{incident} cannot be closed over {', '.join(open_ones)}")


def _let_go(cursor: Cursor, incident: str) -> None:
    cursor.execute(
        """
        update byteport.incidents set lease_token = null, lease_until = null, claimed_by = '', woken_at = null,
            claims_in_vain = 0,
            due_at = least(due_at, byteport.clock())
        where id = %s
        """,
        [incident],
    )


def _open_round(cursor: Cursor, incident: str, number: int, look: Round) -> None:
    cursor.executemany(
        "insert into byteport.probe_groups (incident, round, grp, fields, lease_seconds) values (%s, %s, %s, %s, %s)",
        [(incident, number, clean(name), list(fields), look.lease_seconds) for name, fields in look.groups.items()],
    )


def _keep_locks(cursor: Cursor, incident: Incident, *, release: bool) -> bool:
    if release:
        cursor.execute("delete from byteport.locks where incident = %s", [incident.id])
        return False
    if incident.locked:
        renew_locks(cursor, incident.id)
    return incident.locked


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


def _write(cursor: Cursor, postmortem: Postmortem) -> None:
    cursor.execute(
        """
        insert into byteport.postmortems (incident, record, markdown, written_at) values (%s, %s, %s, byteport.clock())
        on conflict (incident) do update
        set record = excluded.record, markdown = excluded.markdown, written_at = excluded.written_at
        """,
        [postmortem.incident, json(postmortem.record), clean(postmortem.markdown)],
    )
