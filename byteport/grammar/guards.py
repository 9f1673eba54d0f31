"""Guards: conditions and budgets that an action must pass. Pure: they check facts and state claims, and never count.

A guard answers from facts that were read a moment ago. What it cannot know denies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from byteport.errors import NotKnown
from byteport.grammar.action import Action
from byteport.grammar.counted import Budget, CeilingBudget, Cooldown, Lock, OnceForGood
from byteport.grammar.guard import Facts, Guard
from byteport.grammar.truth import Condition, truth_of
from byteport.grammar.verdict import OnHit, Verdict

__all__ = [
    "Allowlist",
    "Budget",
    "Ceiling",
    "CeilingBudget",
    "Cooldown",
    "Enabled",
    "Facts",
    "Guard",
    "Lock",
    "Members",
    "Never",
    "OnAnnotation",
    "OnceForGood",
    "OptIn",
    "Requires",
    "SkipIf",
    "Standing",
    "scope_of",
    "subject_of",
]


def subject_of(action: Action) -> str:
    return action.subject


def scope_of(action: Action) -> str:
    return action.write_scope


@dataclass(frozen=True, kw_only=True)
class Ceiling(Guard):
    """An action's `field` may not exceed what the evidence allows."""

    field: str
    at_most: Callable[[Any], float]
    value: str = ""
    kind: ClassVar[str] = "ceiling"

    def check(self, action: Action, facts: Facts) -> Verdict:
        try:
            limit = self.at_most(facts.evidence)
        except NotKnown as gap:
            return self.deny(f"the ceiling cannot be told: {gap}", lifts=f"once {gap.field} answers ({gap.why})")
        asked = getattr(action, self.field)
        if asked > limit:
            instead = f"with {self.field} at most {limit} instead of {asked}"
            why = f"{self.field} {asked} is over the ceiling {limit}"
            return self.deny(why, limit=limit, current=asked, lifts=instead)
        return self.allow(f"{self.field} {asked} of at most {limit}", limit=limit, current=asked)

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": self.value}


@dataclass(frozen=True, kw_only=True)
class Requires(Guard):
    """A condition over the newest evidence must be known to hold. `until_begun`: it is about what the action changes,
    and says nothing more once this very action has begun."""

    condition: Condition
    value: str = ""
    as_kind: str = "precondition"
    until_begun: bool = False

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.as_kind

    def check(self, action: Action, facts: Facts) -> Verdict:
        if self.until_begun and facts.begun:
            return self.allow("begun: it held before", limit=self.value)
        truth = truth_of(self.condition, facts.evidence)
        if truth.value:
            return self.allow(truth.because, limit=self.value)
        if truth.value is None:
            gaps = ", ".join(f"{name} answers ({facts.evidence.why_unknown(name)})" for name in truth.missing)
            return self.deny(truth.because, limit=self.value, lifts=f"once {gaps or 'this can be told'}")
        lifts = f"once this holds: {' and '.join(truth.lacks)}"
        return self.deny(f"not so: {truth.because}", limit=self.value, lifts=lifts)

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": self.value}


@dataclass(frozen=True, kw_only=True)
class Members(Guard):
    """Leaves out of a batch the members that `forbidden` names; denies when none is left.

    `forbidden(member, facts)` returns why the member may not be touched, or an empty text.
    """

    forbidden: Callable[[Any, Facts], str]
    members: str = "sessions"
    value: str = ""
    scope_name: str = ""
    on_hit: OnHit = "skip"
    as_kind: str = "allowlist"

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.as_kind

    def _split(self, action: Action, facts: Facts) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        told = [(member, self._why(member, facts)) for member in getattr(action, self.members)]
        return tuple(m for m, why in told if not why), tuple(f"{m}: {why}" for m, why in told if why)

    def _why(self, member: Any, facts: Facts) -> str:
        try:
            return self.forbidden(member, facts)
        except NotKnown as gap:
            return f"cannot be told ({gap})"

    def narrow(self, action: Action, facts: Facts) -> Action:
        kept, _ = self._split(action, facts)
        return action.with_(**{self.members: kept})

    def check(self, action: Action, facts: Facts) -> Verdict:
        kept, left_out = self._split(action, facts)
        if left_out and not kept:
            lifts = f"once one of the {len(left_out)} may be touched"
            return self.deny("; ".join(left_out[:20]), limit=self.value, current=0, lifts=lifts)
        told = f"left out: {'; '.join(left_out[:20])}" if left_out else ""
        return self.allow(told, limit=self.value, current=f"{len(kept)} of {len(kept) + len(left_out)}")

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": self.value, "scope": self.scope_name}


@dataclass(frozen=True, kw_only=True)
class OnAnnotation(Guard):
    """Shared by the guards that read a target's annotations; unreadable annotations deny."""

    key: str
    kind: ClassVar[str] = "annotation_gate"

    def value_of(self, facts: Facts) -> set[str] | None:
        """The comma-separated set under the key; empty when absent, None when it cannot be read."""
        if facts.annotations is None:
            return None
        spellings = [self.key, self.key.replace("auto-remediate", "auto_remediate")]
        found = [
            {part.strip() for part in facts.annotations[key].split(",") if part.strip()}
            for key in dict.fromkeys(spellings)
            if key in facts.annotations
        ]
        return set.intersection(*found) if found else set()

    def unreadable(self) -> Verdict:
        return self.deny("the target's annotations cannot be read", lifts="once the target's annotations can be read")

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": self.key}


@dataclass(frozen=True, kw_only=True)
class SkipIf(OnAnnotation):
    """The target opts out by an annotation."""

    on_hit: OnHit = "end"

    def check(self, action: Action, facts: Facts) -> Verdict:
        value = self.value_of(facts)
        if value is None:
            return self.unreadable()
        if "true" not in value:
            return self.allow("not opted out", limit=self.key)
        lifts = f"once {self.key} is taken off the target"
        return self.deny(f"{self.key} is set: the target opted out", limit=self.key, current="true", lifts=lifts)


@dataclass(frozen=True, kw_only=True)
class OptIn(OnAnnotation):
    """The target must have opted in: the annotation holds `word`."""

    word: str = "true"
    kind: ClassVar[str] = "opt_in"

    def check(self, action: Action, facts: Facts) -> Verdict:
        value = self.value_of(facts)
        if value is None:
            return self.unreadable()
        wanted, found = f"{self.key}: {self.word}", ", ".join(sorted(value))
        if self.word in value:
            return self.allow(limit=wanted, current=found)
        why, lifts = (
            f"not opted in: {self.key} does not hold {self.word!r}",
            f"once the target is opted in with {wanted}",
        )
        return self.deny(why, limit=wanted, current=found or "not set", lifts=lifts)


@dataclass(frozen=True, kw_only=True)
class Enabled(Guard):
    """An option of the page must be true: what it allows is off until somebody has said so."""

    switch: str
    kind: ClassVar[str] = "opt_in"

    def check(self, action: Action, facts: Facts) -> Verdict:
        if facts.options.get(self.switch) is True:
            return self.allow(f"{self.switch} is true", limit=f"{self.switch}: true")
        lifts = f"once the option {self.switch} is true"
        return self.deny(f"not enabled: {self.switch}", limit=f"{self.switch}: true", current="false", lifts=lifts)

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": f"{self.switch} = false", "scope": "runbook"}


@dataclass(frozen=True, kw_only=True)
class Allowlist(Guard):
    """Where `applies`, the subject must stand on the list of the option; an empty list allows nothing."""

    applies: Callable[[Action], bool]
    kind: ClassVar[str] = "allowlist"

    def check(self, action: Action, facts: Facts) -> Verdict:
        if not self.applies(action):
            return self.allow("does not apply here")
        listed = facts.options.get(self.option) or ()
        if action.subject in listed:
            return self.allow("on the list", limit=len(listed))
        lifts = f"once {action.subject} is on the allowlist {self.option}"
        return self.deny(f"{action.subject} is not on the allowlist {self.option}", limit=len(listed), lifts=lifts)


@dataclass(frozen=True, kw_only=True)
class Never(Guard):
    """A standing prohibition: a move in a class, or verbs that no writer the page can reach has."""

    move: str = ""
    in_class: str = ""
    verbs: tuple[str, ...] = ()
    value: str = ""
    kind: ClassVar[str] = "forbidden"

    def check(self, action: Action, facts: Facts) -> Verdict:
        forbidden = set(self.verbs) & set(action.verbs)
        return (
            self.deny(f"forbidden: {', '.join(sorted(forbidden))}")
            if forbidden
            else self.allow(f"none of {', '.join(self.verbs)}")
        )

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": self.value or ", ".join(self.verbs), "scope": self.in_class}


@dataclass(frozen=True, kw_only=True)
class Standing(Guard):
    """A guard that every page has unwritten (dry run, confidence floor); listed here, enforced by the engine."""

    as_kind: str
    value: str = ""

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.as_kind

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": self.value, "scope": "runbook"}
