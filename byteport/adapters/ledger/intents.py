"""Intents: written down before anything is changed, begun under a live claim, settled once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored, advise, append, lock_as_holder, now_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.recount import refuse_overspending, spend
from byteport.adapters.ledger.rows import Row, clean, intent_of, json, maybe, obligation_of
from byteport.errors import BadInput, Paused, Permanent, Stale
from byteport.grammar.action import Effect
from byteport.grammar.verdict import Verdict
from byteport.records.change import Lease, Settlement
from byteport.records.event import Event
from byteport.records.intent import Intent, NewIntent, Obligation
from byteport.records.outcome import Done, Failed, Refused
from byteport.records.standing import when_resumed

ENDED = {
    "unknown": "it was never opened",
    "settled": "it is settled",
    "answered": "the target has answered; it is never sent again",
}


class Intents(Stored):
    """What the gate writes before, between and after."""

    def find_intent(self, key: str) -> Intent | None:
        row = self.row("select * from byteport.intents where key = %s", [key])
        return None if row is None else intent_of(row)

    def intents_of(self, incident_id: str) -> list[Intent]:
        """In the order in which they were opened."""
        found = self.rows(
            "select * from byteport.intents where incident = %s order by opened_at, step, direction", [incident_id]
        )
        return [intent_of(row) for row in found]

    def open_intent(self, new: NewIntent, lease: Lease) -> Intent:
        """Claims come with the amounts that were granted. Opened twice it is the first one, and spends nothing more."""
        return self.run(lambda cursor: _open(cursor, new, lease))

    def begin_attempt(self, intent: Intent, lease: Lease, timeout: timedelta, runbook: str) -> Intent:
        """Stale also where less than `timeout` and 2 s are left, or another attempt has begun since `intent` was read.
        Raises Permanent for what is settled or was answered: that is never sent again."""

        def begin(cursor: Cursor) -> tuple[str, Intent | None, list[dict[str, Any]]]:
            cursor.execute(
                "select byteport.begin_attempt(%s, %s, %s, %s, %s, %s) as word",
                [intent.key, lease.incident, lease.token, intent.attempts, timeout, runbook],
            )
            word = str((cursor.fetchone() or {"word": "stale"})["word"])
            if word == "begun":
                return word, _read(cursor, intent.key), []
            return word, None, _pauses(cursor, runbook)

        word, begun, pauses = self.run(begin)
        if begun is not None:
            return begun
        if word == "paused":
            raise Paused(_paused(pauses))
        if word == "stale":
            raise Stale(f"the claim on {lease.incident} has passed on or ends too soon for another attempt")
        raise Permanent(f"{intent.move} ({intent.key}) cannot be begun: {ENDED[word]}")

    def mark_answered(self, intent: Intent, effect: Effect) -> Intent:
        def mark(cursor: Cursor) -> Intent:
            cursor.execute(
                """
                update byteport.intents set answered_at = coalesce(answered_at, byteport.clock()), effect = %s
                where key = %s and outcome is null
                """,
                [json(effect), intent.key],
            )
            return _read(cursor, intent.key)

        return self.run(mark)

    def settle(self, intent: Intent, outcome: Done | Failed | Refused, *, refund: bool = False) -> Intent:
        """What was never begun is always given back, and owes no undo; nor does what was so before. Raises Stale where
        an attempt has begun since `intent` was read: the outcome was not told of that one."""
        return self.run(lambda cursor: _settle(cursor, intent, outcome, refund=refund))

    def owed(self, incident_id: str) -> list[Obligation]:
        found = self.rows(
            """
            select * from byteport.obligations where incident = %s and state = 'owed' and begun_at is not null
            order by step desc
            """,
            [incident_id],
        )
        return [obligation_of(row) for row in found]


def settle_obligation(cursor: Cursor, settlement: Settlement) -> None:
    """Once; the first word counts."""
    if settlement.state not in ("done", "dropped", "escalated"):
        raise BadInput("state", f"done, dropped or escalated, got {settlement.state!r}")
    cursor.execute(
        """
        update byteport.obligations set state = %s, why = %s, settled_at = byteport.clock()
        where id = %s and state = 'owed'
        """,
        [settlement.state, clean(settlement.why), settlement.obligation],
    )


def _open(cursor: Cursor, new: NewIntent, lease: Lease) -> Intent:
    """Locks first (no rebuild meanwhile, nobody else on these claims), then the claim, then the count."""
    if new.incident != lease.incident:
        raise BadInput("intent.incident", f"{lease.incident}, got {new.incident}")
    cursor.execute("select pg_advisory_xact_lock_shared(hashtextextended('byteport.rebuild', 1))")
    advise(cursor, "claim", [claim.key for claim in new.claims])
    lock_as_holder(cursor, lease)
    cursor.execute("select * from byteport.intents where key = %s", [new.key])
    if (known := cursor.fetchone()) is not None:
        return intent_of(known)
    now = now_of(cursor)
    refuse_overspending(cursor, new.key, new.claims, new.grant, now)
    _insert(cursor, new, now)
    spend(cursor, new.key, new.incident, new.claims, now)
    _owe(cursor, new, now)
    told = {
        "intent": new.key,
        "step": new.step,
        "direction": new.direction,
        "move": new.move,
        "subject": new.action.subject,
        "amount": new.action.amount,
        "claims": {claim.key: claim.amount for claim in new.claims},
    }
    append(cursor, new.incident, [Event(kind="intent", text=f"{new.move} on {new.action.subject}", data=told)])
    return _read(cursor, new.key)


def _insert(cursor: Cursor, new: NewIntent, now: datetime) -> None:
    stored = new.model_dump(mode="json", include={"action", "claims", "pre_state"})
    cursor.execute(
        """
        insert into byteport.intents
            (key, incident, step, direction, move, action, claims, pre_state, opened_at, subject, lasting, asked)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            new.key,
            new.incident,
            new.step,
            new.direction,
            clean(new.move),
            json(stored["action"]),
            json(stored["claims"]),
            json(stored["pre_state"]),
            now,
            clean(new.action.subject),
            new.action.lasting,
            new.asked,
        ],
    )


def _owe(cursor: Cursor, new: NewIntent, now: datetime) -> None:
    if new.undo is None:
        return
    cursor.execute(
        """
        insert into byteport.obligations (id, incident, intent, step, move, undo, lasts, by_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            f"und-{secrets.token_hex(8)}",
            new.incident,
            new.key,
            new.step,
            clean(new.move),
            json(new.undo),
            new.undo.by,
            now + new.undo.by,
        ],
    )


def _settle(cursor: Cursor, intent: Intent, outcome: Done | Failed | Refused, *, refund: bool) -> Intent:
    """The incident's lock comes first, as everywhere: no attempt begins meanwhile, and the journal line needs it."""
    cursor.execute("select from byteport.incidents where id = %s for no key update", [intent.incident])
    known = _read(cursor, intent.key)
    if known.outcome is not None:
        return known
    if known.attempts != intent.attempts:
        raise Stale(f"attempt {known.attempts} of {known.key} has begun, this outcome is of {intent.attempts}")
    refund = refund or known.attempts == 0
    effect = outcome.effect if isinstance(outcome, Done) else None
    cursor.execute(
        """
        update byteport.intents set outcome = %s, settled_at = byteport.clock(), effect = coalesce(%s, effect)
        where key = %s
        """,
        [json(outcome), maybe(effect), intent.key],
    )
    if refund:
        cursor.execute(
            "update byteport.spends set refunded_at = byteport.clock() where intent = %s and refunded_at is null",
            [intent.key],
        )
    if known.attempts == 0 or _changed_nothing(known, outcome):
        _drop_undo(cursor, intent.key)
    told = {
        "intent": known.key,
        "step": known.step,
        "direction": known.direction,
        "refund": refund,
        "outcome": outcome.model_dump(mode="json"),
    }
    append(cursor, known.incident, [Event(kind="settled", text=f"{known.move}: {outcome.outcome}", data=told)])
    return _read(cursor, intent.key)


def _changed_nothing(known: Intent, outcome: Done | Failed | Refused) -> bool:
    """It was so before, or the target refused: there is nothing of ours to undo."""
    match outcome:
        case Done():
            return not outcome.ours
        case Failed():
            return not outcome.unknown and not known.answered
        case _:
            return False


def _drop_undo(cursor: Cursor, intent: str) -> None:
    cursor.execute(
        """
        update byteport.obligations set state = 'dropped', why = 'not our effect', settled_at = byteport.clock()
        where intent = %s and state = 'owed'
        """,
        [intent],
    )


def _read(cursor: Cursor, key: str) -> Intent:
    cursor.execute("select * from byteport.intents where key = %s", [key])
    if (row := cursor.fetchone()) is None:
        raise BadInput("intent", f"an intent that was opened, got {key!r}")
    return intent_of(row)


def _pauses(cursor: Cursor, runbook: str) -> list[dict[str, Any]]:
    cursor.execute(
        "select who, why from byteport.pauses where ended_at is null and runbook = any(%s) order by id", [["", runbook]]
    )
    return cursor.fetchall()


def _paused(pauses: Sequence[Row]) -> Verdict:
    words = [f"{row['who']}: {row['why']}" for row in pauses]
    return Verdict(
        guard="pause",
        kind="forbidden",
        allowed=False,
        reason=f"paused: {'; '.join(words)}",
        lifts=when_resumed([row["who"] for row in pauses]),
    )
