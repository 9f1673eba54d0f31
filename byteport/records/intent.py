"""An intent: that BytePort is about to change something, written down before it does."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from byteport.grammar.action import AnyAction, Effect
from byteport.grammar.plan import Undo
from byteport.grammar.verdict import Claim, Grant
from byteport.model.base import Json, Value, digest_of
from byteport.records.outcome import Settled

Direction = Literal["do", "undo"]


def intent_key(incident: str, plan_digest: str, step: int, direction: Direction) -> str:
    """The one name of this change, everywhere: in the ledger, in the budgets, at the target."""
    return "i" + digest_of([incident, plan_digest, step, direction])[:31]


class Intent(Value):
    """`action` as narrowed and journalled, never as planned. `answered`: the target replied to the last attempt.

    `asked`: the members that the batch had before the budgets cut it; 0 where they did not.
    """

    key: str
    incident: str
    step: int
    direction: Direction = "do"
    move: str
    action: AnyAction
    claims: tuple[Claim, ...] = ()
    pre_state: Json = Field(default_factory=dict)
    asked: int = 0
    attempts: int = 0
    opened_at: AwareDatetime
    begun_at: AwareDatetime | None = None
    answered_at: AwareDatetime | None = None
    effect: Effect | None = None
    outcome: Settled | None = None
    settled_at: AwareDatetime | None = None

    @property
    def left(self) -> int:
        """Members that the budgets did not let through."""
        return max(0, self.asked - self.action.amount)

    @property
    def answered(self) -> bool:
        return self.answered_at is not None


class NewIntent(Value):
    """What the gate asks the ledger to open; `undo` is the obligation that begins with the first attempt."""

    key: str
    incident: str
    step: int
    direction: Direction = "do"
    move: str
    action: AnyAction
    claims: tuple[Claim, ...]
    grant: Grant
    asked: int = 0
    pre_state: Json = Field(default_factory=dict)
    undo: Undo | None = None

    @property
    def attempts(self) -> int:
        """None yet; with `effect` what an action may know of its intent before it is opened."""
        return 0

    @property
    def effect(self) -> Effect | None:
        return None


class Obligation(Value):
    """An undo that is owed. `void` until an attempt of the step's intent has begun."""

    id: str
    incident: str
    intent: str
    step: int
    move: str
    undo: Undo
    by: AwareDatetime
    state: Literal["owed", "done", "dropped", "escalated"] = "owed"
