"""A plan: a flat, stored tuple of six kinds of step. The cursor is an integer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from byteport.grammar.action import Action, AnyAction
from byteport.model.base import Value, digest_of
from byteport.model.target import Target


class Undo(Value):
    """What a step owes afterwards: do `action` when check `when` holds, by `by` at the latest, else `otherwise`."""

    action: AnyAction
    when: str | None = None
    by: timedelta
    otherwise: Literal["escalate", "drop"] = "escalate"


class Do(Value):
    """Perform `action` as the page's move `move`, whose guards it passes. Where it has failed, and it is known that it
    has, `otherwise` is what comes then: one clean-up that fails does not keep the next from being tried."""

    step: Literal["do"] = "do"
    move: str
    action: AnyAction
    undo: Undo | None = None
    # Not written where it says nothing, so that plans stored before it was known keep their digest.
    otherwise: Literal["escalate", "go_on"] = Field(default="escalate", exclude_if=lambda value: value == "escalate")


class Look(Value):
    """Probe these fields again: the next evidence round."""

    step: Literal["look"] = "look"
    fields: tuple[str, ...]


class Pause(Value):
    """Wait; a due date and nothing else."""

    step: Literal["pause"] = "pause"
    length: timedelta


class Await(Value):
    """Look every `every` until the check has held for `steady`; after `within`, `otherwise`. Unknown keeps waiting."""

    step: Literal["await"] = "await"
    check: str
    within: timedelta
    every: timedelta = timedelta(seconds=10)
    steady: timedelta = timedelta(0)
    otherwise: Literal["escalate", "go_on"] = "escalate"


class EndIf(Value):
    """Leave the plan with `end` when the check holds; unknown escalates."""

    step: Literal["end_if"] = "end_if"
    check: str
    end: Literal["verify", "partial", "escalate"]


class Tell(Value):
    """Let people know, while the plan goes on, that `check` holds or cannot be told: once for an incident."""

    step: Literal["tell"] = "tell"
    check: str
    reason: str


class HandOver(Value):
    """Let another page treat it, as a child incident: `runbook` by its name, or whichever enabled page takes `signal`;
    the same target, or another one that what was found here leads to."""

    step: Literal["hand_over"] = "hand_over"
    runbook: str = ""
    reason: str
    signal: str = ""
    target: Target | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.runbook) is bool(self.signal):
            raise ValueError("a runbook or a signal, one of the two")
        return self

    @property
    def to(self) -> str:
        """The heir in words."""
        return self.runbook or f"whoever takes {self.signal}"


Step = Do | Look | Pause | Await | EndIf | Tell
AnyStep = Annotated[Step, Field(discriminator="step")]
End = Literal["verify", "partial", "escalate"]


class Plan(Value):
    """The ordered steps that a class calls for, and how it ends when it has walked them all. `withheld` says that what
    there is to treat may not be touched: the page left out all of it, as its guards would have."""

    steps: tuple[AnyStep, ...] = ()
    end: End | HandOver = "verify"
    reason: str = ""
    withheld: bool = False

    @property
    def digest(self) -> str:
        return digest_of(self.model_dump(mode="json"))

    @property
    def dos(self) -> Iterator[tuple[int, Do]]:
        """The mutating steps with their numbers."""
        return ((n, step) for n, step in enumerate(self.steps) if isinstance(step, Do))

    @property
    def actions(self) -> Iterator[Action]:
        """Every action that this plan may perform, undos included."""
        for _, step in self.dos:
            yield step.action
            if step.undo is not None:
                yield step.undo.action


def until(check: str, *dos: Do, look: tuple[str, ...]) -> tuple[Step, ...]:
    """Do one after the other, look after each, and go to verification as soon as `check` holds."""
    return tuple(step for do in dos for step in (do, Look(fields=look), EndIf(check=check, end="verify")))
