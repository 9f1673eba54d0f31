"""Signals in: absorbed by the open incident of their page and target, or a new one. And the inventory."""

from __future__ import annotations

import secrets
from datetime import datetime

from byteport.adapters.ledger.base import Stored, advise, append, now_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, clean, json, state_of
from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target
from byteport.records.event import Event
from byteport.records.incident import Incident, Phase
from byteport.stores_signals import Admission, Opening


class Signals(Stored):
    """What sources see."""

    def admit(self, opening: Opening) -> Admission:
        """One transaction, serialised per page and target. A duplicate is told from its source and event id alone."""
        return self.run(lambda cursor: admit(cursor, opening))

    def condition_cleared(self, runbook: str, signal: Signal) -> None:
        """Dated once; an incident that rests with people is looked at again at once. The same event twice, and one that
        is older than what its source has fired since, change nothing."""
        self.run(lambda cursor: _clear(cursor, runbook, signal))

    def known_target(self, target: Target) -> Target | None:
        """As the inventory has it."""
        row = self.row(
            "select within, coordinates from byteport.targets where kind = %s and key = %s",
            [str(target.kind), clean(target.key)],
        )
        return None if row is None else target.with_(within=tuple(row["within"]), coordinates=row["coordinates"])

    def see_target(self, target: Target) -> None:
        self.rows(
            """
            insert into byteport.targets (kind, key, within, coordinates, first_seen, last_seen)
            values (%s, %s, %s, %s, byteport.clock(), byteport.clock())
            on conflict (kind, key) do update
            set within = excluded.within, coordinates = excluded.coordinates, last_seen = excluded.last_seen
            returning key
            """,
            [str(target.kind), clean(target.key), list(target.within), json(target.coordinates)],
        )


def admit(cursor: Cursor, opening: Opening) -> Admission:
    """The same inside a transaction; a child incident is opened by its parent's move."""
    signal = opening.signal
    if signal.event_id and (known := _known(cursor, signal)) is not None:
        return Admission(incident=known["incident"], absorbed=True, duplicate=True)
    advise(cursor, "fingerprint", [f"{opening.runbook}:{signal.target.key}"])
    row = open_one(cursor, opening.runbook, signal.target.key)
    if row is None and opening.once and (ended := _ended_one(cursor, opening)):
        return Admission(incident=ended, absorbed=True, duplicate=True)
    gone = row if row is not None and _makes_way(cursor, row, opening) else None
    if gone is not None:
        row = None
    incident = _open(cursor, opening) if row is None else _absorb(cursor, row, signal)
    if gone is not None:
        _inherit(cursor, incident, gone)
    _keep(cursor, incident, signal)
    append(cursor, incident, [story_of(signal, absorbed=row is not None)])
    return Admission(incident=incident, absorbed=row is not None)


def story_of(signal: Signal, *, absorbed: bool) -> Event:
    """The line of the journal."""
    return Event(
        kind="signal",
        text=f"{signal.name} from {signal.source}: {signal.summary}".removesuffix(": "),
        data={"severity": signal.severity, "value": signal.value, "absorbed": absorbed},
    )


def _known(cursor: Cursor, signal: Signal) -> Row | None:
    """The same event of the same source as it came before, firing or resolved; whoever brings it now waits for us."""
    advise(cursor, "event", [f"{signal.source}:{signal.event_id}"])
    cursor.execute(
        "select incident from byteport.signals where source = %s and event_id = %s and resolved = %s",
        [signal.source, clean(signal.event_id), signal.resolved],
    )
    return cursor.fetchone()


def _keep(cursor: Cursor, incident: str | None, signal: Signal) -> None:
    cursor.execute(
        """
        insert into byteport.signals (incident, source, event_id, resolved, received_at, signal)
        values (%s, %s, nullif(%s, ''), %s, byteport.clock(), %s)
        """,
        [incident, signal.source, clean(signal.event_id), signal.resolved, json(signal)],
    )


def _clear(cursor: Cursor, runbook: str, signal: Signal) -> None:
    """What has an identity is kept whatever it changes, so that it is known when it comes again."""
    if signal.event_id and _known(cursor, signal) is not None:
        return
    advise(cursor, "fingerprint", [f"{runbook}:{signal.target.key}"])
    row = open_one(cursor, runbook, signal.target.key)
    over = row is not None and row["clear_since"] is None and not _has_fired_since(cursor, row, signal)
    if over or signal.event_id:
        _keep(cursor, row["id"] if row is not None else None, signal)
    if row is None or not over:
        return
    if (still := _still_fires(cursor, row, signal)) is not None:
        append(cursor, row["id"], [Event(kind="cleared", text=f"one condition has cleared; {still} has not")])
        return
    cursor.execute(
        """
        update byteport.incidents set clear_since = byteport.clock(),
            nudges = nudges + (phase in ('escalate', 'plan'))::int,
            due_at = case when phase in ('escalate', 'plan') then least(due_at, byteport.clock()) else due_at end,
            woken_at = case when phase in ('escalate', 'plan') then null else woken_at end
        where id = %s
        """,
        [row["id"]],
    )
    append(cursor, row["id"], [Event(kind="cleared", text="the source says that the condition has cleared")])


def _has_fired_since(cursor: Cursor, row: Row, signal: Signal) -> bool:
    """Both dates are the source's own; nobody else's clock is compared with them. Where it names what has cleared, only
    that counts."""
    cursor.execute(
        """
        select exists (select from byteport.signals where incident = %(incident)s and source = %(source)s
                       and not resolved and (signal ->> 'fired_at')::timestamptz > %(at)s
                       and (%(condition)s = '' or coalesce(signal ->> 'condition', '') in ('', %(condition)s))) as fired
        """,
        {"incident": row["id"], "source": signal.source, "at": signal.fired_at, "condition": clean(signal.condition)},
    )
    return bool(cursor.fetchall()[0]["fired"])


def _still_fires(cursor: Cursor, row: Row, signal: Signal) -> str | None:
    """Another condition that the same source has told of this incident and not ended since, in its words; None where
    all have ended, or it does not tell them apart."""
    cursor.execute(
        """
        select f.signal ->> 'summary' as summary, f.signal ->> 'condition' as condition from byteport.signals f
        where f.incident = %(incident)s and f.source = %(source)s and not f.resolved
          and coalesce(f.signal ->> 'condition', '') not in ('', %(condition)s)
          and not exists (
            select from byteport.signals r where r.incident = f.incident and r.source = f.source and r.resolved
               and r.signal ->> 'condition' = f.signal ->> 'condition'
               and (r.signal ->> 'fired_at')::timestamptz >= (f.signal ->> 'fired_at')::timestamptz)
        order by f.id desc limit 1
        """,
        {"incident": row["id"], "source": signal.source, "condition": clean(signal.condition)},
    )
    found = cursor.fetchone() if signal.condition else None
    return None if found is None else str(found["summary"] or found["condition"])


def open_one(cursor: Cursor, runbook: str, target_key: str) -> Row | None:
    """The open incident of a page and target, locked. One that is being closed is waited for, and then is none."""
    cursor.execute(
        """
        select * from byteport.incidents where runbook = %s and target_key = %s and phase <> 'closed' for no key update
        """,
        [runbook, target_key],
    )
    return cursor.fetchone()


def _ended_one(cursor: Cursor, opening: Opening) -> str:
    """The incident that has ended for the same page and target; empty where there was none."""
    cursor.execute(
        "select id from byteport.incidents where runbook = %s and target_key = %s order by opened_at limit 1",
        [opening.runbook, opening.signal.target.key],
    )
    found = cursor.fetchone()
    return str(found["id"]) if found is not None else ""


def _makes_way(cursor: Cursor, row: Row, opening: Opening) -> bool:
    """An incident that only rests with people is closed for one that may do more: a rehearsed one for one that acts,
    any for a person's own run. Never over something that is open or owed."""
    rehearsed, acts = row["mode"] == Mode.DRY_RUN, opening.mode is not Mode.DRY_RUN
    if not (rehearsed and (acts or opening.person)) and not (opening.person and acts):
        return False
    cursor.execute(
        """
        update byteport.incidents i set phase = 'closed', closed_at = byteport.clock(), version = version + 1,
            pending = 0, ending = 'closed', lease_token = null, lease_until = null
        where id = %s and phase = 'escalate' and escalated_at is not null
          and (lease_until is null or lease_until <= byteport.clock())
          and not exists (select from byteport.intents t where t.incident = i.id and t.outcome is null)
          and not exists (select from byteport.obligations o where o.incident = i.id and o.state = 'owed'
                          and o.begun_at is not null)
        """,
        [row["id"]],
    )
    if cursor.rowcount == 0:
        return False
    cursor.execute("delete from byteport.locks where incident = %s", [row["id"]])
    who = opening.person or "the fleet, which may act by now"
    append(cursor, row["id"], [Event(kind="phase", text=f"closed: made way for a run of {who}", data={"to": "closed"})])
    return True


def _inherit(cursor: Cursor, incident: str, gone: Row) -> None:
    """What sources had signalled and not cleared is still so for the one that took its place; a person's own run was
    no source's word."""
    heard = 0 if gone["clear_since"] is not None else gone["signals_seen"] - bool(gone["state"].get("person"))
    cursor.execute("update byteport.incidents set signals_seen = signals_seen + %s where id = %s", [heard, incident])


def new_id() -> str:
    return f"inc-{secrets.token_hex(8)}"


def new_incident(opening: Opening, now: datetime) -> Incident:
    """As it is opened, due at once."""
    return Incident(
        id=new_id(),
        runbook=opening.runbook,
        page=opening.page,
        signal=opening.signal,
        mode=opening.mode,
        due_at=now,
        opened_at=now,
        last_signal_at=now,
        person=opening.person,
        driver=opening.driver,
        parent=opening.parent,
        follows=opening.follows,
    )


def _open(cursor: Cursor, opening: Opening) -> str:
    signal, now = opening.signal, now_of(cursor)
    incident = new_incident(opening, now)
    cursor.execute(
        """
        insert into byteport.incidents (id, runbook, page, target_kind, target_key, phase, mode, severity, due_at,
                                        opened_at, last_signal_at, driver, driver_until, parent, signal, state)
        values (%(id)s, %(runbook)s, %(page)s, %(kind)s, %(key)s, 'open', %(mode)s, %(severity)s, %(now)s,
                %(now)s, %(now)s, %(driver)s, %(now)s::timestamptz + %(driver_for)s::interval, %(parent)s,
                %(signal)s, %(state)s)
        """,
        {
            "id": incident.id,
            "runbook": opening.runbook,
            "page": opening.page,
            "kind": str(signal.target.kind),
            "key": signal.target.key,
            "mode": str(opening.mode),
            "severity": str(signal.severity),
            "now": now,
            "driver": opening.driver,
            "driver_for": opening.driver_for if opening.driver else None,
            "parent": opening.parent,
            "signal": json(signal),
            "state": json(state_of(incident)),
        },
    )
    return incident.id


def _absorb(cursor: Cursor, row: Row, signal: Signal) -> str:
    """Never touches what a move owns. People who were told already may have to be told again: due at once."""
    higher = signal.severity.rank > Severity(row["severity"]).rank
    told_again = row["phase"] == Phase.ESCALATE
    cursor.execute(
        """
        update byteport.incidents set
            signals_seen = signals_seen + 1, last_signal_at = byteport.clock(), clear_since = null,
            severity = case when %(higher)s then %(severity)s else severity end,
            nudges = nudges + %(nudge)s::int,
            due_at = case when %(nudge)s then least(due_at, byteport.clock()) else due_at end,
            woken_at = case when %(nudge)s then null else woken_at end
        where id = %(id)s
        """,
        {"higher": higher, "severity": str(signal.severity), "nudge": told_again, "id": row["id"]},
    )
    return str(row["id"])
