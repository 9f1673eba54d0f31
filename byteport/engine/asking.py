"""Asking the guards, and cutting a batch to what they and the budgets leave of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from byteport.errors import Unavailable
from byteport.grammar.action import Action
from byteport.grammar.guard import Facts, Guard
from byteport.grammar.verdict import Claim, Count, Grant, Verdict
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
        lifts="with a plan made anew, which leaves that member out",
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
        guard="budgets_store",
        kind="precondition",
        allowed=False,
        reason=f"the budgets store is out of reach: {gone}",
        lifts="once the budgets store answers",
    )


def with_counts(
    verdicts: Sequence[Verdict], claims: Sequence[Claim], counts: Sequence[Count], ahead: Mapping[str, int]
) -> tuple[Verdict, ...]:
    """The verdicts of budgets that allow, with what is used of them and would be by then (`ahead`, by key); of several
    counters the one with least room."""
    used = [count.with_(used=count.used + ahead.get(count.key, 0)) for count in counts]
    roomy_first = sorted(zip(claims, used, strict=True), key=lambda pair: pair[1].used - pair[0].limit)
    told = {claim.guard: (claim, count) for claim, count in roomy_first}
    return tuple(_counted(verdict, *told[verdict.guard]) if verdict.guard in told else verdict for verdict in verdicts)


def _counted(verdict: Verdict, claim: Claim, count: Count) -> Verdict:
    return verdict.with_(
        limit=str(claim.limit),
        current=str(count.used),
        frees_at=count.frees_at,
        counter=claim.key,
        reason=verdict.reason or f"{count.used} of {claim.limit} used on {claim.key}, {claim.amount} asked",
    )
