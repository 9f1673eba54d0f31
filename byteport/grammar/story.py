"""What became of an incident, for the parts of a page that tell people: summary, bundle, commands, permanent fix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from byteport.grammar.action import Action, Effect
from byteport.grammar.diagnosis import Diagnosis
from byteport.grammar.evidence import Evidence
from byteport.model.base import Json


@dataclass(frozen=True)
class Performed:
    """One step that was begun: the action as narrowed, what the target answered, and how it ended in a word.

    `how`: done, not_ours (it was so before), failed, unknown, stopped, open. `left`: members of the batch that the
    budgets did not let through. `before` is what the action saw before it began.
    """

    move: str
    action: Action
    effect: Effect | None
    how: str
    note: str = ""
    left: int = 0
    before: Json = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many members were changed, as the target answered; nothing where it was not ours."""
        if self.how != "done":
            return 0
        return self.effect.count if self.effect is not None else self.action.amount


@dataclass(frozen=True)
class Story:
    """`evidence` is the newest of each field; its `before` the first round. `earlier` is the story of the incident that
    this one follows, where it only looks again at what was done there; `before` is then what that one saw first."""

    evidence: Evidence
    diagnosis: Diagnosis | None
    performed: tuple[Performed, ...] = ()
    reason: str = ""
    link: str = ""
    earlier: Story | None = None

    def of(self, move: str) -> Iterator[Performed]:
        return (step for step in self.performed if step.move == move)

    def count(self, *moves: str) -> int:
        """Members changed by these moves."""
        return sum(step.count for step in self.performed if step.move in moves)

    def fact(self, name: str, before: bool = False) -> Any:
        """A field's fact or None where it is not known; never raises."""
        evidence = self.evidence.before if before else self.evidence
        return evidence.facts.get(name)
