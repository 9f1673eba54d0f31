"""A guard's answer, and what it claims of the shared budgets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import AwareDatetime

from byteport.model.base import Value

OnHit = Literal["escalate", "page", "skip", "end", "wait", "clamp"]


class Verdict(Value):
    """Allowed, or blocked with the guard's name, its limit, the current count, and when it frees.

    `lifts` ends the sentence "it may act …"; empty where nothing would. `counter` is the key that was counted on.
    """

    guard: str
    kind: str
    allowed: bool
    reason: str = ""
    limit: str = ""
    current: str = ""
    frees_at: AwareDatetime | None = None
    on_hit: OnHit = "escalate"
    lifts: str = ""
    counter: str = ""

    def __bool__(self) -> bool:
        return self.allowed


class Claim(Value):
    """What an action asks of one sliding window: `amount` of at most `limit` in any `window_seconds`.

    `window_seconds` 0 means for ever (an incident's ceiling). With `up_to` the amount may be narrowed to what is left.
    A cooldown is a window with a limit of one. `key` is global: the counter and what it is counted on.
    """

    key: str
    limit: int
    window_seconds: float
    amount: int = 1
    up_to: bool = False
    guard: str
    kind: str = "rate_limit"
    on_hit: OnHit = "escalate"
    counts_only: bool = False  # an undo counts, and is never blocked

    @classmethod
    def window(
        cls,
        key: str,
        *,
        limit: int,
        per: timedelta,
        guard: str,
        amount: int = 1,
        up_to: bool = False,
        kind: str = "rate_limit",
        on_hit: OnHit = "escalate",
    ) -> Self:
        return cls(
            key=key,
            limit=limit,
            window_seconds=per.total_seconds(),
            amount=amount,
            up_to=up_to,
            guard=guard,
            kind=kind,
            on_hit=on_hit,
        )

    def refusal(self, used: int, frees_at: datetime | None, reason: str) -> Verdict:
        """The verdict where `used` leaves no room for this claim."""
        too_many = f"with at most {self.limit} at once instead of {self.amount}"
        return Verdict(
            guard=self.guard,
            kind=self.kind,
            allowed=False,
            limit=str(self.limit),
            current=str(used),
            frees_at=frees_at,
            on_hit=self.on_hit,
            reason=reason,
            counter=self.key,
            lifts=f"when {self.key} frees" if frees_at else too_many if self.window_seconds else "",
        )


class Count(Value):
    """How much of a claim's window is used, and when it next frees."""

    key: str
    used: int
    limit: int
    frees_at: AwareDatetime | None = None


class Grant(Value):
    """The budgets' answer to a reservation. `amount` is what was granted (narrowed where the claims allow it)."""

    key: str
    granted: bool
    amount: int = 0
    epoch: int = 0
    refused_by: Claim | None = None
    used: int = 0
    frees_at: AwareDatetime | None = None

    def __bool__(self) -> bool:
        return self.granted

    @property
    def refusal(self) -> Verdict:
        """The verdict of the claim that refused; only where nothing was granted."""
        claim = self.refused_by
        if claim is None:
            return Verdict(
                guard="budgets",
                kind="rate_limit",
                allowed=False,
                reason="the budgets store did not grant it",
                lifts="once the budgets store grants again",
            )
        return claim.refusal(self.used, self.frees_at, f"{self.used} of {claim.limit} used on {claim.key}")
