"""The guards that the pages on a host's memory share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from byteport.actions.units import OfUnit
from byteport.grammar.action import Action
from byteport.grammar.guards import Budget, Cooldown, Facts, Guard
from byteport.grammar.truth import Condition, truth_of
from byteport.grammar.verdict import Claim, OnHit, Verdict
from byteport.model.facts.memory import Audit
from byteport.model.units import hours, minutes


def host_of_action(action: Action) -> str:
    return action.host if isinstance(action, OfUnit) else ""


@dataclass(frozen=True, kw_only=True)
class AuditFirst(Guard):
    """What would be lost by a restart was captured before it: the process tree, open files, sockets. What could not be
    captured in its ten seconds keeps nothing from being done, and is said to be missing."""

    kind: ClassVar[str] = "precondition"

    def check(self, action: Action, facts: Facts) -> Verdict:
        """Denies nothing."""
        evidence = facts.evidence
        if not evidence.knows("audit"):
            return self.allow(f"not captured, going on without it: {evidence.why_unknown('audit')}", current="missing")
        captured: Audit = evidence.audit  # type: ignore[attr-defined]
        told = captured.in_words(action.unit) if isinstance(action, OfUnit) else "captured"
        return self.allow("; ".join((told, *captured.lacks)), current="captured")

    def listed(self) -> dict[str, Any]:
        value = "tree, FD number and sockets captured; goes on without them after 10 s, and says so"
        return {**super().listed(), "value": value, "scope": "per restart"}


@dataclass(frozen=True, kw_only=True)
class InTime(Guard):
    """Nothing more is begun once so much time has passed since the first write: what has not helped by then is for a
    person. Verification ends at the same time."""

    within: timedelta
    kind: ClassVar[str] = "abort"

    def check(self, action: Action, facts: Facts) -> Verdict:
        began = facts.evidence.acted_at
        if began is None or facts.begun or facts.now - began <= self.within:
            return self.allow("in time", limit=self.within)
        return self.deny(f"{facts.now - began} after the first write it has not recovered", limit=self.within)

    def listed(self) -> dict[str, Any]:
        value = f"{self.within.total_seconds() / 60:g} min"
        return {**super().listed(), "value": value, "scope": "per incident"}


@dataclass(frozen=True, kw_only=True)
class CrashLoop(Budget):
    """A service that has been restarted so often in the window is in a loop: another restart hides why."""

    on_hit: OnHit = "page"
    by_amount: bool = False
    window_option: str = ""
    kind: ClassVar[str] = "abort"

    def claims(self, action: Action, facts: Facts) -> tuple[Claim, ...]:
        """In milliseconds an option may widen the window."""
        (claim,) = super().claims(action, facts)
        told = float(facts.options.get(self.window_option) or 0) / 1000 if self.window_option else 0.0
        return (claim.with_(window_seconds=max(claim.window_seconds, told)),)


@dataclass(frozen=True, kw_only=True)
class OnceOnly(Guard):
    """After the incident's first write nothing more is begun while what was done has not brought the value below."""

    below: Condition
    value: str = ""
    kind: ClassVar[str] = "precondition"

    def check(self, action: Action, facts: Facts) -> Verdict:
        if facts.evidence.acted_at is None or facts.begun or truth_of(self.below, facts.evidence).value:
            return self.allow("nothing was tried yet, or it has helped", limit=self.value)
        return self.deny("what was done has not helped: another try would not either", limit=self.value)

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": self.value, "scope": "per incident"}


SERVICE_RESTARTS = Budget(
    name="service_restarts", limit=3, per=hours(1), counter="service_restarts", scope_name="per service",
)  # fmt: skip
HOST_COOLDOWN = Cooldown(
    name="host_cooldown", per=minutes(5), counter="host_cooldown", scope=host_of_action, on_hit="skip",
    scope_name="per host",
)  # fmt: skip


def crash_loop(option: str = "", window_option: str = "") -> CrashLoop:
    """Both runbooks on a host's memory count on it."""
    return CrashLoop(name="crash_loop_guard", limit=2, per=minutes(30), counter="crash_loop_guard", option=option,
                     window_option=window_option,
                     scope_name="per service")  # fmt: skip
