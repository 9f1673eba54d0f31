"""A person's undo is a veto: what BytePort did and somebody brought back is not done again for a day."""

from __future__ import annotations

from dataclasses import replace

from byteport.errors import BadRunbook, Permanent
from byteport.grammar.guard import Facts
from byteport.model.target import Target
from byteport.ports import Readers
from byteport.records.intent import Intent
from byteport.records.standing import NewVeto
from byteport.stores import Ledger


def heeded(ledger: Ledger, readers: Readers, target: Target, facts: Facts) -> Facts:
    """The facts, with a veto where a look shows that somebody undid what this page had done to this target.

    What cannot be told denies as well. Raises Transient where the look may succeed later, and Unavailable (ledger).
    """
    if facts.undoing or facts.vetoed:
        return facts
    for key in facts.lasting:
        if (intent := _readable(ledger, key)) is None:
            continue
        try:
            reverted = intent.action.reverted(readers, intent)
        except Permanent as problem:
            return replace(
                facts, vetoed=f"nobody can tell whether {intent.move} still stands: {problem}", saw_the_veto=True
            )
        if reverted:
            new = veto_of(intent, facts.runbook, target, facts.incident)
            ledger.veto(new)
            return replace(facts, vetoed=new.why, vetoed_until=facts.now + new.length, saw_the_veto=True)
    return facts


def veto_of(intent: Intent, runbook: str, target: Target, seen_by: str) -> NewVeto:
    """For the page and the target of what somebody undid."""
    why = f"somebody undid {intent.move} on {intent.action.subject} ({intent.incident})"
    return NewVeto(runbook=runbook, target_key=target.key, why=why, intent=intent.key, incident=seen_by)


def _readable(ledger: Ledger, key: str) -> Intent | None:
    """None for an act of a release whose actions this one cannot read any more."""
    try:
        return ledger.find_intent(key)
    except BadRunbook:
        return None
