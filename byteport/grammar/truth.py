"""Three-valued logic: true, false, or unknown because a probe failed.

A condition is a method of the page's evidence that reads one field; `all_of`, `any_of` and `not_` combine them.
Python's own `and` would hide an unknown behind a false one's order, so pages do not use it across fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from byteport.errors import NotKnown

Condition = Callable[[Any], bool | None]


@dataclass(frozen=True)
class Truth:
    """`value` None is unknown; `missing` names the fields that could not be read, `because` says it in words.

    `lacks` are the conditions that would have had to hold as well; empty where it is true.
    """

    value: bool | None
    because: str
    missing: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def said(condition: Condition) -> str:
    """A condition in words: the first line of its docstring, else its name."""
    doc = (getattr(condition, "__doc__", None) or "").strip()
    return doc.splitlines()[0].rstrip(".") if doc else getattr(condition, "__name__", str(condition)).replace("_", " ")


def truth_of(condition: Condition, evidence: Any) -> Truth:
    """Evaluate; NotKnown becomes unknown, any other exception is a bug of the page and is raised."""
    if isinstance(condition, Compound):
        return condition.truth(evidence)
    try:
        value = condition(evidence)
    except NotKnown as gap:
        return Truth(None, f"unknown ({gap})", (gap.field,), (said(condition),))
    told = said(condition)
    return Truth(None if value is None else bool(value), told, lacks=() if value else (told,))


class Compound:
    """A combination of conditions; called like one, it raises NotKnown where it is unknown."""

    def truth(self, evidence: Any) -> Truth:
        """Evaluate the parts; only ever called on one of the combinations below."""
        raise TypeError(f"{type(self).__name__} does not say its truth")

    def __call__(self, evidence: Any) -> bool:
        truth = self.truth(evidence)
        if truth.value is None:
            raise NotKnown(", ".join(truth.missing), truth.because)
        return truth.value


@dataclass(frozen=True)
class AllOf(Compound):
    parts: tuple[Condition, ...]

    def truth(self, evidence: Any) -> Truth:
        truths = [truth_of(part, evidence) for part in self.parts]
        lacks = tuple(lacking for t in truths for lacking in t.lacks)
        if failing := [t for t in truths if t.value is False]:
            return Truth(False, "not: " + failing[0].because, lacks=lacks)
        missing = tuple(name for t in truths for name in t.missing)
        value = None if any(t.value is None for t in truths) else True
        return Truth(value, " and ".join(t.because for t in truths), missing, lacks)


@dataclass(frozen=True)
class AnyOf(Compound):
    parts: tuple[Condition, ...]

    def truth(self, evidence: Any) -> Truth:
        truths = [truth_of(part, evidence) for part in self.parts]
        if holding := [t for t in truths if t.value is True]:
            return Truth(True, holding[0].because)
        missing = tuple(name for t in truths for name in t.missing)
        value = None if any(t.value is None for t in truths) else False
        fewest = min((t.lacks for t in truths), key=len, default=())
        return Truth(value, " or ".join(t.because for t in truths), missing, fewest)


@dataclass(frozen=True)
class Not(Compound):
    part: Condition

    def truth(self, evidence: Any) -> Truth:
        truth = truth_of(self.part, evidence)
        told, value = f"not ({truth.because})", None if truth.value is None else not truth.value
        return Truth(value, told, truth.missing, () if value else (told,))


def all_of(*parts: Condition) -> AllOf:
    """True when all hold; false as soon as one is known not to, whatever the others."""
    return AllOf(parts)


def any_of(*parts: Condition) -> AnyOf:
    """True as soon as one holds, whatever the others; unknown when none does and one is unknown."""
    return AnyOf(parts)


def not_(part: Condition) -> Not:
    """The opposite; the opposite of unknown is unknown."""
    return Not(part)
