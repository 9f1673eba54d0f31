"""Evidence: what a page looks at (fields, each filled in by its probe) and how it reads it (methods)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from byteport.errors import BadRunbook, NotKnown
from byteport.model.base import Value
from byteport.model.target import Target
from byteport.model.units import seconds
from byteport.ports import Readers

T = TypeVar("T")

FailureKind = Literal["timeout", "denied", "unreachable", "malformed", "bug"]


class Failure(Value):
    """Why a probe could not tell."""

    kind: FailureKind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True)
class Probe(Generic[T]):
    """One read-only question to a target. Probes `over` the same connection travel as one group."""

    name: str
    over: str
    ask: Callable[[Target, Readers, Mapping[str, Any]], T]
    timeout: timedelta
    about: str

    def __call__(self, target: Target, readers: Readers, options: Mapping[str, Any] | None = None) -> T:
        return self.ask(target, readers, options or {})


def probe(over: str, timeout: timedelta = seconds(10)) -> Callable[[Callable[[Target, Readers], T]], Probe[T]]:
    """Make a probe of a function; its name and first docstring line are what people see."""

    def named(ask: Callable[[Target, Readers], T]) -> Probe[T]:
        return _probe(ask, over, timeout, lambda target, readers, _: ask(target, readers))

    return named


def probe_with_options(
    over: str, timeout: timedelta = seconds(10)
) -> Callable[[Callable[[Target, Readers, Mapping[str, Any]], T]], Probe[T]]:
    """The same for a question that the page's options shape: which window, which workload, which query."""

    def named(ask: Callable[[Target, Readers, Mapping[str, Any]], T]) -> Probe[T]:
        return _probe(ask, over, timeout, ask)

    return named


def _probe(
    named: Callable[..., T], over: str, timeout: timedelta, ask: Callable[[Target, Readers, Mapping[str, Any]], T]
) -> Probe[T]:
    about = (named.__doc__ or "").strip().splitlines()
    return Probe(named.__name__, over, ask, timeout, about[0].rstrip(".") if about else "")


@dataclass(frozen=True)
class Field:
    """One field of a page's evidence: its probe, and how its answer is checked and stored."""

    name: str
    probe: Probe[Any]
    adapter: TypeAdapter[Any]

    def dump(self, fact: object) -> Any:
        return self.adapter.dump_python(fact, mode="json")

    def load(self, stored: Any) -> Any:
        """Raises pydantic.ValidationError where the stored answer has the wrong shape."""
        return self.adapter.validate_python(stored)


@dataclass
class Fact:
    """Reads one field, remembers that it was read, and raises NotKnown where its probe failed."""

    name: str

    def __get__(self, evidence: Evidence | None, owner: type) -> Any:
        if evidence is None:
            return self
        evidence.reads.add(self.name)
        if self.name not in evidence.facts:
            raise NotKnown(self.name, evidence.why_unknown(self.name))
        return evidence.facts[self.name]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Facts as they were taken. Pages subclass it: annotated fields, and methods that read one field each.

    `looked_at` is the time given to the decision, on the ledger's clock; `acted_at` when the first write began;
    `before` is the first round's evidence, so that "before" is never lost; `a_step_ago` what was known when the plan
    had looked after the step before, or began. `None` as a fact is an answer.
    """

    target: Target
    facts: Mapping[str, Any]
    looked_at: datetime
    failures: Mapping[str, Failure] = field(default_factory=dict)
    taken_at: Mapping[str, datetime] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    acted_at: datetime | None = None
    first: Self | None = None
    stepped: Self | None = None
    reads: set[str] = field(default_factory=set, compare=False, repr=False)

    FIELDS: ClassVar[tuple[str, ...]] = ()
    SPECS: ClassVar[dict[str, Field]]

    def __init_subclass__(cls) -> None:
        names = [name for name in inspect.get_annotations(cls) if not hasattr(Evidence, name)]
        cls.FIELDS = tuple(dict.fromkeys((*cls.FIELDS, *names)))
        for name in names:
            setattr(cls, name, Fact(name))

    @property
    def before(self) -> Self:
        """The first round's evidence; this one where there was no other."""
        return self.first if self.first is not None else self

    @property
    def a_step_ago(self) -> Self:
        """However often it was looked at since; the first round's evidence where there was no such look."""
        return self.stepped if self.stepped is not None else self.before

    def knows(self, name: str) -> bool:
        """Whether the field's probe answered."""
        return name in self.facts

    def why_unknown(self, name: str) -> str:
        """Why the field is not known, in words."""
        return str(self.failures.get(name, "not looked at"))

    def age_of(self, name: str) -> timedelta:
        return self.looked_at - self.taken_at.get(name, self.looked_at)

    def watched(self) -> Self:
        """The same evidence with an empty record of what was read."""
        return replace(self, reads=set())


def fields_of(evidence: type[Evidence]) -> dict[str, Field]:
    """The fields of a page's evidence by name, read once; raises BadRunbook for a field that no probe fills."""
    known: dict[str, Field] | None = evidence.__dict__.get("SPECS")
    if known is None:
        hints = get_type_hints(evidence, include_extras=True)
        known = {name: _field(evidence, name, hints[name]) for name in evidence.FIELDS}
        evidence.SPECS = known
    return known


def _field(evidence: type[Evidence], name: str, hint: Any) -> Field:
    if get_origin(hint) is Annotated:
        fact, *marks = get_args(hint)
        for mark in marks:
            if isinstance(mark, Probe):
                return Field(name, mark, TypeAdapter(fact))
    raise BadRunbook(f"{evidence.__name__}.{name}", "Annotated[Fact, probe]: no probe fills this field")
