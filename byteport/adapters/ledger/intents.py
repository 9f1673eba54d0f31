"""Intents: written down before anything is changed, begun under a live claim, settled once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from byteport.adapters.ledger.base import Stored, ended, word_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.recount import asking, counted, refusal_of, spent
from byteport.adapters.ledger.rows import Row, clean, intent_of, json, obligation_of
from byteport.errors import BadInput, Paused, Permanent, Stale
from byteport.grammar.action import Effect
from byteport.grammar.verdict import Verdict
from byteport.records.change import Lease, Settlement
from byteport.records.intent import Intent, NewIntent, Obligation
from byteport.records.outcome import Done, Failed, Refused
from byteport.records.standing import when_resumed

_OPEN = """
select o.word, o.n, o.used, o.frees_at, o.epoch, (o.intent).*
from byteport.open_intent(%s) o
"""
_OPEN_AND_BEGIN = """
select o.word, o.n, o.used, o.frees_at, o.epoch, (o.intent).*
from byteport.open_and_begin(%s, %s, %s) o
"""
_BEGIN = "select b.word, (b.intent).* from byteport.begin_intent(%s, %s, %s, %s, %s, %s) b"
_ANSWERED = """
update byteport.intents set answered_at = coalesce(answered_at, byteport.clock()), effect = %s
where key = %s and outcome is null returning *
"""
_PAUSES = "select who, why from byteport.pauses where ended_at is null and runbook = any(%s) order by id"
IS_PAUSED = "BP005"
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
        if new.incident != lease.incident:
            raise BadInput("intent.incident", f"{lease.incident}, got {new.incident}")
        with ended():
            (row,) = self.rows(_OPEN, [json(_opening(new, lease))])
        if row["word"] in ("outdated", "overspent"):
            raise refusal_of(row, new.claims, new.grant)
        return intent_of(row)

    def open_and_begin(self, new: NewIntent, lease: Lease, timeout: timedelta, runbook: str) -> tuple[Intent, bool]:
        if new.incident != lease.incident:
            raise BadInput("intent.incident", f"{lease.incident}, got {new.incident}")
        try:
            with ended():
                (row,) = self.rows(_OPEN_AND_BEGIN, [json(_opening(new, lease)), timeout, runbook])
        except Permanent as refused:
            if word_of(refused) != IS_PAUSED:
                raise
            raise Paused(_paused(self.rows(_PAUSES, [["", runbook]]))) from refused
        if row["word"] in ("outdated", "overspent"):
            raise refusal_of(row, new.claims, new.grant)
        return intent_of(row), row["word"] == "begun"

    def begin_attempt(self, intent: Intent, lease: Lease, timeout: timedelta, runbook: str) -> Intent:
        """Stale also where less than `timeout` and 2 s are left, or another attempt has begun since `intent` was read.
        Raises Permanent for what is settled or was answered: that is never sent again."""
        (row,) = self.rows(_BEGIN, [intent.key, lease.incident, lease.token, intent.attempts, timeout, runbook])
        match row["word"]:
            case "begun":
                return intent_of(row)
            case "paused":
                raise Paused(_paused(self.rows(_PAUSES, [["", runbook]])))
            case "stale":
                raise Stale(f"the claim on {lease.incident} has passed on or ends too soon for another attempt")
            case word:
                raise Permanent(f"{intent.move} ({intent.key}) cannot be begun: {ENDED[word]}")

    def mark_answered(self, intent: Intent, effect: Effect) -> Intent:
        if row := self.row(_ANSWERED, [json(effect), intent.key]):
            return intent_of(row)
        return self._known(intent.key)  # settled by then: nothing more is told of it

    def settle(self, intent: Intent, outcome: Done | Failed | Refused, *, refund: bool = False) -> Intent:
        """What was never begun is always given back, and owes no undo; nor does what was so before. Raises Stale where
        an attempt has begun since `intent` was read: the outcome was not told of that one."""
        effect = outcome.effect if isinstance(outcome, Done) else None
        told = {
            "intent": intent.key, "step": intent.step, "direction": intent.direction,
            "outcome": outcome.model_dump(mode="json"),
        }  # fmt: skip
        asked = {
            "key": intent.key, "incident": intent.incident, "attempts": intent.attempts, "outcome": outcome,
            "effect": effect, "refund": refund, "frees": _frees(outcome), "text": f"{intent.move}: {outcome.outcome}",
            "data": told,
        }  # fmt: skip
        with ended():
            found = self.row("select * from byteport.settle_intent(%s)", [json(asked)])
        return intent_of(found) if found is not None else self._known(intent.key)

    def _known(self, key: str) -> Intent:
        if (found := self.find_intent(key)) is None:
            raise BadInput("intent", f"an intent that was opened, got {key!r}")
        return found

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


def _opening(new: NewIntent, lease: Lease) -> dict[str, Any]:
    stored = new.model_dump(mode="json", include={"action", "claims", "pre_state"})
    told = {
        "intent": new.key, "step": new.step, "direction": new.direction, "move": new.move,
        "subject": new.action.subject, "amount": new.action.amount,
        "claims": {claim.key: claim.amount for claim in new.claims},
    }  # fmt: skip
    return {
        "key": new.key, "incident": new.incident, "token": lease.token, "step": new.step, "direction": new.direction,
        "move": new.move, "action": stored["action"], "claims": stored["claims"], "before": stored["pre_state"],
        "subject": new.action.subject, "lasting": new.action.lasting, "asked": new.asked,
        "undo_id": f"und-{secrets.token_hex(8)}", "undo": new.undo,
        "undo_lasts": new.undo.by.total_seconds() if new.undo is not None else None, "spends": spent(new.claims),
        "asking": counted(new.claims), "must_count": bool(asking(new.claims)) or not new.claims,
        "epoch": new.grant.epoch, "text": f"{new.move} on {new.action.subject}", "data": told,
    }  # fmt: skip


def _frees(outcome: Done | Failed | Refused) -> str:
    """When there is nothing of ours to undo: it was so before, or the target refused without having answered."""
    match outcome:
        case Done():
            return "never" if outcome.ours else "always"
        case Failed():
            return "never" if outcome.unknown else "unanswered"
        case _:
            return "never"


def _paused(pauses: Sequence[Row]) -> Verdict:
    words = [f"{row['who']}: {row['why']}" for row in pauses]
    return Verdict(
        guard="pause",
        kind="forbidden",
        allowed=False,
        reason=f"paused: {'; '.join(words)}",
        lifts=when_resumed([row["who"] for row in pauses]),
    )
