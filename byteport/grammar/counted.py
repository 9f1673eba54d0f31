"""Guards that are counted or held: budgets, ceilings for ever, cooldowns, locks. They state claims, and never count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import Any, ClassVar

from byteport.errors import NotKnown
from byteport.grammar.action import Action
from byteport.grammar.guard import Facts, Guard
from byteport.grammar.verdict import Claim, OnHit, Verdict


@dataclass(frozen=True, kw_only=True)
class Budget(Guard):
    """At most `limit` on one `scope` in any window of `per`; `per` None is for ever. Amounts of a batch add up."""

    limit: int
    per: timedelta | None
    scope: Callable[[Action], str] = attrgetter("subject")
    scope_name: str = ""
    by_amount: bool = True
    per_incident: bool = False
    kind: ClassVar[str] = "rate_limit"

    def limit_under(self, options: Mapping[str, Any]) -> int:
        """The page's limit, or a tighter one from its option; a looser one is ignored."""
        return min(self.limit, int(options.get(self.option, self.limit))) if self.option else self.limit

    def key(self, action: Action, facts: Facts) -> str:
        counter = self.counter or f"{facts.runbook}.{self.name}"
        return f"{counter}:{facts.incident if self.per_incident else self.scope(action)}"

    def check(self, action: Action, facts: Facts) -> Verdict:
        """Counts nothing: the store does, where every other guard allows."""
        return self.allow(limit=self.limit_under(facts.options))

    def claims(self, action: Action, facts: Facts) -> tuple[Claim, ...]:
        return (
            Claim.window(
                self.key(action, facts),
                limit=self.limit_under(facts.options),
                per=self.per or timedelta(0),
                amount=action.amount if self.by_amount else 1,
                up_to=action.divisible and self.by_amount,
                guard=self.name,
                kind=self.kind,
                on_hit=self.on_hit,
            ),
        )

    def listed(self) -> dict[str, Any]:
        window = self.per.total_seconds() if self.per else None
        return {**super().listed(), "limit": self.limit, "window_seconds": window, "scope": self.scope_name}


@dataclass(frozen=True, kw_only=True)
class CeilingBudget(Budget):
    """A budget for ever: at most `limit` in all, most often in one incident."""

    per: timedelta | None = None
    kind: ClassVar[str] = "ceiling"


@dataclass(frozen=True, kw_only=True)
class OnceForGood(CeilingBudget):
    """One for a scope, and never another: a lock that is kept for good."""

    limit: int = 1
    by_amount: bool = False
    kind: ClassVar[str] = "lock"


@dataclass(frozen=True, kw_only=True)
class Cooldown(Budget):
    """One on a scope, and then none for `per`. Of a `cycle` all steps of an incident are one. `hits` says what becomes
    of what comes too early where that depends on how things stand; it asks no more than the fields of `reads`."""

    limit: int = 1
    by_amount: bool = False
    cycle: bool = False
    hits: Callable[[Any], OnHit] | None = None
    kind: ClassVar[str] = "cooldown"

    def claims(self, action: Action, facts: Facts) -> tuple[Claim, ...]:
        """Of a cycle that has begun, nothing more is spent; it still counts."""
        (claim,) = super().claims(action, facts)
        begun = self.cycle and claim.key in facts.spent
        return (claim.with_(amount=0 if begun else claim.amount, on_hit=self._hit(facts)),)

    def _hit(self, facts: Facts) -> OnHit:
        try:
            return self.on_hit if self.hits is None else self.hits(facts.evidence)
        except NotKnown:
            return "escalate"


@dataclass(frozen=True, kw_only=True)
class Lock(Guard):
    """Held by the incident from the start of acting; the engine takes it with the plan's other locks, all or none."""

    scope: Callable[[Action], str] = attrgetter("subject")
    scope_name: str = ""
    on_hit: OnHit = "wait"
    kind: ClassVar[str] = "lock"

    def key(self, action: Action) -> str:
        return f"{self.counter or self.name}:{self.scope(action)}"

    def check(self, action: Action, facts: Facts) -> Verdict:
        key = self.key(action)
        if key in facts.held:
            return self.allow(limit=1)
        return self.deny(f"the lock {key} is not held", limit=1, lifts=f"once the incident holds {key}")

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "limit": 1, "scope": self.scope_name}
