"""Signals in by the group: one transaction and two round trips for all that came at the same time.

What is ordinary is done here for all of them at once: a new incident, an open one that absorbs. Whatever is not (an
event told twice in the group, a row that a move holds, an incident that has to make way) is admitted by itself
afterwards, as it would have been without a group. So nobody's signal waits for, or fails with, a neighbour's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from byteport.adapters.ledger.base import Stored, in_order
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, as_text, clean, state_text
from byteport.adapters.ledger.signals import admit, new_id, new_incident, story_of
from byteport.errors import Unavailable
from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target
from byteport.records.incident import Phase
from byteport.records.standing import Promotion
from byteport.stores_signals import Admission, Admitted, Opening, Seen, Settle

log: Any = structlog.get_logger("byteport.ledger")
Key = tuple[str, str]
_SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)
_STATES: dict[tuple[str, str, Mode], str] = {}

_LOOK_IN = "select * from byteport.look_in(%s, %s, %s, %s, %s, %s, %s, %s)"
_WRITE_IN = "select byteport.write_in(%s, %s, %s, %s)"


@dataclass
class _Absorbing:
    """What an incident that is open, or was opened a moment ago in this group, takes in."""

    id: str
    severity: Severity
    nudge: bool = False
    heard: int = 0


@dataclass
class _Writing:
    """Everything that a group writes, as JSON texts."""

    opened: list[str] = field(default_factory=list)
    absorbing: dict[Key, _Absorbing] = field(default_factory=dict)
    signals: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


class Groups(Stored):
    """Many signals of one moment."""

    def admit_all(self, openings: Sequence[Opening], settle: Settle = lambda opening, _seen: opening) -> list[Admitted]:
        """Each as `admit` would have, in this order, with what became of it: an Admission, or the error of that one
        alone. Raises Unavailable where nothing at all was stored."""
        became: dict[int, Admitted] = {}
        try:
            became |= self.run(lambda cursor: _admitted(cursor, openings, settle))
        except Unavailable:
            raise
        except Exception as wrong:  # noqa: BLE001 - one of them; which one, is found by taking each by itself
            log.warning("group_refused", signals=len(openings), error=type(wrong).__name__)
        out_of_reach: Unavailable | None = None
        for n, opening in enumerate(openings):
            if n not in became:
                became[n] = alone = out_of_reach or self._alone(opening, settle)
                if isinstance(alone, Unavailable):  # nobody after it has to wait for the same
                    out_of_reach = alone
        return [became[n] for n in range(len(openings))]

    def _alone(self, opening: Opening, settle: Settle) -> Admitted:
        try:
            seen = self.run(lambda cursor: _looked(cursor, [opening], locking=False).seen)
            return self.run(lambda cursor: admit(cursor, settle(opening, seen)))
        except Exception as wrong:  # noqa: BLE001 - the answer to that one, and no other's
            return wrong


@dataclass(frozen=True)
class _Looked:
    """What a group finds: the events that are known, the open incidents that are its own now, those that a move holds,
    what decides on the rest, and one reading of the clock after all that was waited for."""

    events: Mapping[Key, str]
    rows: Mapping[Key, Row]
    held: set[Key]
    seen: Seen
    now: datetime


def _admitted(cursor: Cursor, openings: Sequence[Opening], settle: Settle) -> dict[int, Admission]:
    """What is ordinary about them; those that are missing have to be admitted by themselves.

    It waits for advisory locks alone, in the order in which everybody takes them, and never for a row: a move that
    holds one may be waiting for what is held here.
    """
    looked = _looked(cursor, openings)
    known = {n: again for n, one in enumerate(openings) if (again := looked.events.get(_event(one.signal)))}
    usual = {n: settle(openings[n], looked.seen) for n in _told_once(openings) if n not in known}
    unusual = looked.held | {_key(opening) for opening in usual.values() if _is_unusual(opening, looked.rows)}
    became, writing = (
        {n: Admission(incident=again, absorbed=True, duplicate=True) for n, again in known.items()},
        _Writing(),
    )
    for n, opening in usual.items():
        if _key(opening) not in unusual:
            became[n] = _planned(opening, looked.rows, writing, looked.now)
    _write(cursor, writing)
    return became


def _looked(cursor: Cursor, openings: Sequence[Opening], *, locking: bool = True) -> _Looked:
    """In one round trip."""
    signals, keys = [one.signal for one in openings], sorted({_key(opening) for opening in openings})
    targets = {(str(one.target.kind), clean(one.target.key)): one.target for one in signals}
    told = sorted({_event(one) for one in signals if one.event_id})
    first, then = [":".join(event) for event in told], [":".join(key) for key in keys]
    cursor.execute(
        _LOOK_IN,
        [
            [*in_order("event", first), *in_order("fingerprint", then)] if locking else [],
            [source for source, _ in told], [event for _, event in told],
            [runbook for runbook, _ in keys], [clean(key) for _, key in keys],
            [kind for kind, _ in targets], [key for _, key in targets], locking,
        ],
    )  # fmt: skip
    (found,) = cursor.fetchall()
    opened: dict[Key, Row] = {_key_of(row): row for row in found["opened"] or ()}
    rows = {_key_of(row): row for row in found["locked"] or ()} if locking else opened
    return _Looked(
        events={(row["source"], row["event_id"]): row["incident"] for row in found["known"] or ()},
        rows=rows,
        held=opened.keys() - rows.keys(),
        seen=_seen(targets, found["placed"] or (), found["promoted"] or ()),
        now=found["now"],
    )


def _seen(targets: Mapping[Key, Target], placed: Iterable[Row], promoted: Iterable[Row]) -> Seen:
    rows = {(row["kind"], row["key"]): row for row in placed}
    return Seen(
        targets={
            str(one): one.with_(within=tuple(row["within"]), coordinates=row["coordinates"])
            for name, one in targets.items()
            if (row := rows.get(name)) is not None
        },
        promotions={row["runbook"]: Promotion.model_validate(row) for row in promoted},
    )


def _planned(opening: Opening, rows: Mapping[Key, Row], writing: _Writing, now: datetime) -> Admission:
    """What is to be written for one, after those that were planned before it."""
    key, signal, text = _key(opening), opening.signal, as_text(opening.signal)
    into = writing.absorbing.get(key)
    if into is None and (row := rows.get(key)) is not None:
        into = _Absorbing(row["id"], Severity(row["severity"]), nudge=row["phase"] == Phase.ESCALATE)
    absorbed = into is not None
    if into is None:
        into, at = _Absorbing(new_id(), signal.severity), now.isoformat()
        writing.opened.append(_line(_columns(opening, into.id, at), signal=text, state=_state(opening, into.id, at)))
    else:
        into.heard += 1
        into.severity = max(into.severity, signal.severity, key=lambda severity: severity.rank)
    writing.absorbing[key] = into
    told = story_of(signal, absorbed=absorbed)
    writing.events.append(_line({"incident": into.id, "text": told.text}, data=as_text(told.data)))
    named = {"incident": into.id, "source": signal.source, "event_id": signal.event_id}
    writing.signals.append(_line(named, signal=text))
    return Admission(incident=into.id, absorbed=absorbed)


def _write(cursor: Cursor, writing: _Writing) -> None:
    """In one round trip."""
    absorbed = [
        as_text({"id": one.id, "heard": one.heard, "severity": one.severity, "nudge": one.nudge})
        for one in writing.absorbing.values()
        if one.heard
    ]
    every = (writing.opened, absorbed, writing.signals, writing.events)
    if writing.signals:
        cursor.execute(_WRITE_IN, [f"[{','.join(lines)}]" for lines in every])


def _told_once(openings: Sequence[Opening]) -> list[int]:
    """Without those whose event another of the same group tells already."""
    seen: set[Key] = set()
    first = []
    for n, opening in enumerate(openings):
        event = _event(opening.signal)
        if not event[1] or event not in seen:
            first.append(n)
        seen.add(event)
    return first


def _is_unusual(opening: Opening, rows: Mapping[Key, Row]) -> bool:
    """A person's or a parent's, one that may be opened only once, or one that may take another's place."""
    row = rows.get(_key(opening))
    takes_place = row is not None and row["mode"] == Mode.DRY_RUN and opening.mode is not Mode.DRY_RUN
    return takes_place or opening.once or bool(opening.person or opening.driver or opening.parent or opening.follows)


def _columns(opening: Opening, incident: str, at: str) -> dict[str, Any]:
    signal = opening.signal
    return {
        "id": incident, "runbook": opening.runbook, "page": opening.page, "kind": str(signal.target.kind),
        "key": signal.target.key, "mode": str(opening.mode), "severity": str(signal.severity), "now": at,
    }  # fmt: skip


def _state(opening: Opening, incident: str, at: str) -> str:
    """Of one that was opened a moment ago: the same for each of a page and a mode, but for its id and its date."""
    of = (opening.runbook, opening.page, opening.mode)
    if of not in _STATES:
        blank = new_incident(opening, _SOME_DAY)
        _STATES[of] = state_text(blank).replace(blank.id, "<id>").replace("2000-01-01T00:00:00Z", "<at>")
    return _STATES[of].replace("<id>", incident).replace("<at>", at)


def _line(fields: Mapping[str, Any], **texts: str) -> str:
    """One JSON object, some of whose parts are JSON already."""
    return as_text(fields)[:-1] + "".join(f', "{name}": {text}' for name, text in texts.items()) + "}"


def _key(opening: Opening) -> Key:
    return opening.runbook, opening.signal.target.key


def _key_of(row: Mapping[str, Any]) -> Key:
    return row["runbook"], row["target_key"]


def _event(signal: Signal) -> Key:
    return signal.source, clean(signal.event_id)
