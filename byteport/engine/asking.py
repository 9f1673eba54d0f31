"""Asking the guards, and cutting a batch to what they and the budgets leave of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from byteport.errors import Unavailable
from byteport.grammar.action import Action
from byteport.grammar.guard import Facts, Guard
from byteport.grammar.verdict import Claim, Grant, Verdict
from byteport.model.units import seconds

FRESH = seconds(30)  # evidence that may be acted on


def asked(action: Action, guards: Sequence[Guard], facts: Facts) -> tuple[Action, tuple[Verdict, ...]]:
    """Every guard's verdict in order, and the action without the members that they leave out.

    A guard is asked about what those before it have left; one that would leave nothing denies, and leaves all in.
    """
    verdicts: list[Verdict] = []
    for guard in guards:
        verdict = guard.check(action, facts)
        verdicts.append(verdict)
        if verdict:
            action = guard.narrow(action, facts)
    return action, tuple(verdicts)


def too_old(facts: Facts) -> tuple[Verdict, ...]:
    """A refusal where a guard has read evidence that is too old to act on, whether it named that or not."""
    old = sorted(name for name in facts.evidence.reads if facts.evidence.age_of(name) > FRESH)
    reason = f"{', '.join(old)}: older than {FRESH.total_seconds():g} s"
    verdict = Verdict(guard="fresh_evidence", kind="precondition", allowed=False, reason=reason)
    return (verdict,) if old else ()


def member_forbidden() -> Verdict:
    return Verdict(
        guard="journalled_batch",
        kind="precondition",
        allowed=False,
        reason="a member of the batch that was journalled has become forbidden",
    )


def as_narrow(action: Action, claims: Sequence[Claim], grant: Grant) -> Action:
    """The batch cut to what was granted; whole where no claim may be narrowed."""
    cut = any(claim.up_to for claim in claims) and grant.amount < action.amount
    return action.first(grant.amount) if cut else action


def as_granted(claims: Sequence[Claim], grant: Grant) -> tuple[Claim, ...]:
    """The claims with the amount that was really granted, as the ledger counts them."""
    return tuple(c.with_(amount=min(c.amount, grant.amount)) if c.up_to and grant.amount else c for c in claims)


def store_gone(gone: Unavailable) -> Verdict:
    return Verdict(
        guard="budgets_store", kind="precondition", allowed=False, reason=f"the budgets store is out of reach: {gone}"
    )
