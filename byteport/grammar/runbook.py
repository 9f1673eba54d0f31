"""A runbook is a value: what to look at, how to read it, what to do about it, and how to know that it helped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from byteport.errors import BadRunbook
from byteport.grammar import reading
from byteport.grammar.action import Action
from byteport.grammar.diagnosis import Diagnosis, Disposition
from byteport.grammar.evidence import Evidence, fields_of
from byteport.grammar.guards import Guard
from byteport.grammar.plan import Do, Plan, Undo
from byteport.grammar.story import Story
from byteport.grammar.truth import Condition
from byteport.model.base import digest_of
from byteport.model.confidence import CONFIDENCE_FLOOR
from byteport.model.signal import Severity
from byteport.model.target import TargetKind


@dataclass(frozen=True)
class OnSignal:
    """A signal that the page claims, with the words of its threshold."""

    name: str
    threshold: str = ""
    severity: Severity = Severity.CRITICAL


@dataclass(frozen=True)
class Option:
    """A setting of the page, within `least` and `most`. One that a guard names as its `option` may only tighten; one
    that stands `elsewhere` in the configuration (a login) is only listed; one of `names` holds a name of that part of
    the configuration."""

    name: str
    default: Any
    meaning: str
    least: float | None = None
    most: float | None = None
    elsewhere: str = ""
    names: str = ""


@dataclass(frozen=True)
class Move:
    """What a page may ever do, named once: an action under its guards. Called, it makes a step of a plan."""

    name: str
    action: type[Action]
    guards: tuple[Guard, ...]
    undo: type[Action] | None = None

    def __call__(self, *, undo: Undo | None = None, **fields: Any) -> Do:
        return Do(move=self.name, action=self.action(**fields), undo=undo)


@dataclass(frozen=True)
class Rule:
    """One line of the ordered classifier. `confidence` as a fraction; `says` adds figures to the reason."""

    name: str
    confidence: float
    disposition: Disposition
    when: Condition
    then: Callable[[Any], Plan]
    supported_by: tuple[str, ...] = ()
    says: Callable[[Any], str] | None = None

    @property
    def hundredths(self) -> int:
        return round(self.confidence * 100)


@dataclass(frozen=True)
class Otherwise:
    """The catch-all: tried last, chosen only when no other rule holds."""

    name: str = "unknown"
    confidence: float | None = None
    disposition: Disposition = "escalate"
    then: Callable[[Any], Plan] | None = None

    @property
    def hundredths(self) -> int | None:
        return None if self.confidence is None else round(self.confidence * 100)


@dataclass(frozen=True)
class Check:
    """Decides with others whether the target is well. `passes` returns None where its source is not configured.

    First looked at `after` the last write, then every `every` until `within`; it must have held for `steady`.
    `needs` are the fields that are looked at again.
    """

    name: str
    passes: Condition
    needs: tuple[str, ...]
    after: timedelta = timedelta(0)
    within: timedelta = timedelta(0)
    every: timedelta = timedelta(seconds=15)
    steady: timedelta = timedelta(0)

    @property
    def deadline(self) -> timedelta:
        return max(self.after, self.within)


@dataclass(frozen=True)
class LookAgain:
    """What is owed where an incident ends partially resolved: one look, `after` it has closed, by an incident of its
    own that writes nothing. Where `check` does not hold by then, or cannot be told, a person hears `reason`.

    `enough`: a check; where it holds, a verification that failed ends so too, instead of with a person.
    """

    after: timedelta
    check: str
    reason: str
    enough: str = ""


@dataclass(frozen=True)
class Escalation:
    """Who is told, and how often. `per` are the names that identify one escalation; what `anew` says besides makes it
    another matter (it came back, it has doubled), told again inside `once_per`.

    The callables tell the story: `summary` the fields of the one-line message, `bundle` the contract's content,
    `manual` the exact commands with the incident's real names, `fix` what a person should mend for good.
    """

    channels: tuple[str, ...]
    once_per: timedelta
    per: tuple[str, ...] = ("target",)
    on_duplicate: str = "comment"
    anew: Callable[[Story], str] | None = None
    content: tuple[str, ...] = ()
    summary: Callable[[Story], Mapping[str, Any]] | None = None
    manual: Callable[[Story], tuple[str, ...]] | None = None
    bundle: Callable[[Story], Mapping[str, Any]] | None = None
    fix: Callable[[Story], str] | None = None


@dataclass(frozen=True, kw_only=True)
class Runbook:
    """One page. Raises BadRunbook when it contradicts itself; see `byteport.grammar.reading` for how it is read.

    `once`: a target is treated once for good (a run that has failed does not fail again), whoever tells of it. `well`:
    what shows that there is nothing left to treat; not given, that no class holds any more shows it. `as_root`: the
    exact commands that it runs by sudo at a host, with these options, for these system units. `look_again`: what is
    looked at once more, long after it has ended partially resolved.
    """

    name: str
    title: str
    category: str
    summary: str
    signals: tuple[OnSignal, ...]
    target: TargetKind
    target_key: str
    evidence: type[Evidence]
    moves: tuple[Move, ...]
    rules: tuple[Rule, ...]
    otherwise: Otherwise = field(default_factory=Otherwise)
    checks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()
    never: tuple[Guard, ...] = ()
    verify: tuple[Check, ...]
    escalate: Escalation
    permissions: Mapping[str, tuple[str, ...]]
    options: tuple[Option, ...] = ()
    maturity: str = "stable"
    cooldown: timedelta = timedelta(minutes=10)
    once: bool = False
    well: Condition | None = None
    confidence_floor: int = CONFIDENCE_FLOOR
    proven_on: tuple[str, ...] = ()
    critical: Condition | None = None
    manual: str = ""
    as_root: Callable[[Mapping[str, Any], Sequence[str]], Iterable[Sequence[str]]] | None = None
    look_again: LookAgain | None = None

    def __post_init__(self) -> None:
        for where, expected in reading.contradictions(self):
            raise BadRunbook(f"{self.name}.{where}", expected)

    @cached_property
    def by_move(self) -> dict[str, Move]:
        return {move.name: move for move in self.moves}

    @cached_property
    def digest(self) -> str:
        """Changes when anything changes that a stored plan or evidence depends on."""
        return digest_of(reading.shape(self))[:16]

    def guards_of(self, move: str) -> tuple[Guard, ...]:
        """The page's guards, its prohibitions, then the move's own; raises BadRunbook for an unknown move."""
        if move not in self.by_move:
            raise BadRunbook(f"{self.name}.moves", f"{move!r} is not a move of this page")
        return (*self.never_for(move), *self.guards, *self.by_move[move].guards)

    def never_for(self, move: str) -> tuple[Guard, ...]:
        return tuple(guard for guard in self.never if getattr(guard, "move", "") in ("", move))

    def groups(self, names: tuple[str, ...] | None = None) -> dict[str, tuple[str, ...]]:
        """Fields by the connection that their probes share; one group is one task."""
        grouped: dict[str, tuple[str, ...]] = {}
        for name, spec in fields_of(self.evidence).items():
            if names is None or name in names:
                grouped[spec.probe.over] = (*grouped.get(spec.probe.over, ()), name)
        return grouped

    def diagnose(self, evidence: Evidence) -> Diagnosis:
        """Classify; pure. See `byteport.grammar.reading.diagnose`."""
        return reading.diagnose(self, evidence)

    def plan(self, diagnosis: Diagnosis, evidence: Evidence) -> Plan:
        """The plan of the diagnosed class; pure. Raises NotKnown, or BadRunbook for a step that may not be."""
        return reading.plan(self, diagnosis, evidence)
