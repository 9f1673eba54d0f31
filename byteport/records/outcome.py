"""How one step ended. A refusal, a wait and a dry run are outcomes, not exceptions."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from byteport.grammar.action import Effect
from byteport.grammar.verdict import Verdict
from byteport.model.base import Value


class Done(Value):
    """It is so. `ours` False: it was so before we began, there is nothing to undo and the budget goes back."""

    outcome: Literal["done"] = "done"
    ours: bool = True
    note: str = ""
    effect: Effect | None = None


class Refused(Value):
    """A guard said no and nothing was written. `verdicts` are all that were given."""

    outcome: Literal["refused"] = "refused"
    verdicts: tuple[Verdict, ...]

    @property
    def blocking(self) -> Verdict:
        return next(verdict for verdict in self.verdicts if not verdict)

    @property
    def frees_at(self) -> AwareDatetime | None:
        return max((v.frees_at for v in self.verdicts if not v and v.frees_at), default=None)


class Failed(Value):
    """It was begun, and will not be tried again. `unknown`: whether the effect happened cannot be told."""

    outcome: Literal["failed"] = "failed"
    reason: str
    unknown: bool = False


class Held(Value):
    """Not yet: look or try again after the delay. Never stored as an intent's outcome."""

    outcome: Literal["held"] = "held"
    after: timedelta
    reason: str


Settled = Annotated[Done | Failed | Refused, Field(discriminator="outcome")]
Outcome = Done | Refused | Failed | Held
