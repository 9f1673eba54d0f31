"""A plan walked as it would be: previews, verdicts and what the budgets would grant. Reads and never spends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from byteport.engine.asking import as_granted, as_narrow, asked, store_gone, with_counts
from byteport.engine.errand import Errand
from byteport.engine.facts import look_now
from byteport.engine.gate import Gate
from byteport.errors import Permanent, Transient, Unavailable
from byteport.grammar.action import Action
from byteport.grammar.verdict import Verdict
from byteport.ports import Readers


def rehearse(gate: Gate, errands: Sequence[Errand]) -> list[tuple[Errand, str, tuple[Verdict, ...]]]:
    """Every errand with its preview and verdicts, each counting those before it; what would be allowed counts as done.
    Locks count as held, since acting begins with them."""
    ahead: dict[str, int] = {}
    done: set[str] = set()
    walked = []
    for errand in errands:
        preview, verdicts = _rehearsed(gate, replace(errand, done=frozenset(done)), ahead)
        if all(verdicts):
            done.add(errand.step.move)
        walked.append((errand, preview, verdicts))
    return walked


def _rehearsed(gate: Gate, errand: Errand, ahead: dict[str, int]) -> tuple[str, tuple[Verdict, ...]]:
    facts = replace(look_now(gate.ledger, gate.policy, errand), held=_EVERYTHING, spent=frozenset(ahead))
    guards = [guard for guard in gate.guards_of(errand) if guard.name != "dry_run"]
    action, verdicts = asked(errand.action, guards, facts)
    claims = tuple(claim for guard in guards for claim in guard.claims(action, facts))
    try:
        grant = gate.granted(lambda: gate.budgets.peek(claims, ahead))
        counts = gate.budgets.counts(claims) if claims else []
    except Unavailable as gone:
        return _preview(action, gate.readers), (*verdicts, store_gone(gone))
    if not grant.granted:
        return _preview(action, gate.readers), (*verdicts, grant.refusal)
    action, granted = as_narrow(action, claims, grant), as_granted(claims, grant)
    told = with_counts(verdicts, granted, counts, ahead)
    for claim in granted:
        ahead[claim.key] = ahead.get(claim.key, 0) + claim.amount
    return _preview(action, gate.readers), told


def _preview(action: Action, readers: Readers) -> str:
    try:
        return action.preview(readers)
    except (Transient, Permanent) as problem:
        return f"{type(action).__name__} on {action.subject} (cannot be previewed: {problem})"


class _Everything(frozenset[str]):
    """Holds whatever is asked; only a rehearsal stands on it."""

    def __contains__(self, _key: object) -> bool:
        return True


_EVERYTHING = _Everything()
