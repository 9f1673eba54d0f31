"""The guards of the page on kills for want of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from byteport.errors import NotKnown
from byteport.grammar.action import Action
from byteport.grammar.guard import Facts, Guard
from byteport.grammar.guards import Cooldown
from byteport.grammar.verdict import Claim, Verdict
from byteport.model.units import seconds
from byteport.runbooks.linux.memory_auto_recover_evidence import STATEFUL
from byteport.runbooks.linux.memory_oom_evidence import OomEvidence

FIRST, LONGEST = seconds(30), seconds(300)
LIMITS, PATCH = "set-memory-limit", "patch-memory-limit"  # verbs of actions that raise a limit: none on hosts


def backoff(used: int) -> timedelta:
    """30 s x 2^N, at most 300 s; N restarts were used already."""
    return min(LONGEST, FIRST * int(2 ** min(used, 10)))


@dataclass(frozen=True, kw_only=True)
class Backoff(Cooldown):
    """One restart, and then none for as long as the number of those before it says."""

    def claims(self, action: Action, facts: Facts) -> tuple[Claim, ...]:
        (claim,) = super().claims(action, facts)
        try:
            used = len(facts.evidence.restart_history.ours)  # type: ignore[attr-defined]
        except NotKnown:
            used = 10
        return (claim.with_(window_seconds=backoff(used).total_seconds()),)

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": "30s x 2^N, cap 300s"}


@dataclass(frozen=True, kw_only=True)
class OnLimits(Guard):
    """About actions that raise a memory limit, by their verb, and of no others. `why_not` says why one may not."""

    why_not: Callable[[Action, Facts], str]
    verb: str
    value: str = ""
    scope_name: str = ""
    as_kind: str = "ceiling"

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.as_kind

    def check(self, action: Action, facts: Facts) -> Verdict:
        if self.verb not in action.verbs:
            return self.allow("it changes no limit", limit=self.value)
        why = self.why_not(action, facts)
        return self.deny(why, limit=self.value) if why else self.allow(limit=self.value)

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": self.value, "scope": self.scope_name}


def over_the_cap(action: Action, facts: Facts) -> str:
    was, to = getattr(action, "was", 0), getattr(action, "to", 0)
    most = multiplier(facts.options) * was
    return f"{to} is more than {multiplier(facts.options):g} times {was}" if to > most else ""


def multiplier(options: Any) -> float:
    """Never more than twice."""
    return min(2.0, float(options.get("MAX_LIMIT_BUMP_MULTIPLIER", 2.0)))


def not_tried(_action: Action, _facts: Facts) -> str:
    return "no server-side dry run of it has succeeded"


@dataclass(frozen=True, kw_only=True)
class StatefulAllowlist(Guard):
    """One that keeps data, by its name or its program's, is touched only where it stands on the list."""

    reads: tuple[str, ...] = ("consumer_kind",)
    option: str = "BYTEPORT_STATEFUL_ALLOWLIST"
    kind: ClassVar[str] = "allowlist"

    def check(self, action: Action, facts: Facts) -> Verdict:
        evidence = facts.evidence
        assert isinstance(evidence, OomEvidence)  # noqa: S101 - the page's own
        try:
            why = not_allowed(evidence)
        except NotKnown as gap:
            return self.deny(f"unknown ({gap})", lifts=f"once {gap.field} answers")
        return self.deny(why, lifts=f"once {evidence.unit} is on {self.option}") if why else self.allow()

    def listed(self) -> dict[str, Any]:
        return {
            **super().listed(),
            "value": "BYTEPORT_STATEFUL_ALLOWLIST",
            "scope": "per StatefulSet, or such a service",
        }


def not_allowed(e: OomEvidence) -> str:
    command, unit = (e.consumer_kind.command if e.consumer_kind is not None else ""), e.unit
    kept = next((known for known in STATEFUL for name in (unit, command) if known in name.lower()), "")
    listed = {str(name) for name in e.options.get("BYTEPORT_STATEFUL_ALLOWLIST") or ()}
    stem = unit.removesuffix(".service")
    if not kept or listed & {unit, stem, f"{unit}@{e.host}", f"{stem}@{e.host}"}:
        return ""
    return f"{unit} keeps data ({kept}), and is not on BYTEPORT_STATEFUL_ALLOWLIST"
