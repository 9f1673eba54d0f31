"""What can go wrong, as a tree.

BytePortError
├── Transient            repeat the move; `retry_after` where the other side named a time
│   ├── OutOfTime        a task's soft time limit, or a probe's
│   └── Unavailable      a store of ours (ledger, budgets, broker) is out of reach
├── Permanent            ask a person; `retry_after` where the target named a time
│   ├── Denied           the login lacks a right; names it
│   └── NotFound         what was asked for is not there
├── Refusal              carries the verdict that refused
│   ├── Paused           somebody paused BytePort
│   └── Overspent        the ledger's recount says no
├── NotKnown             evidence was read whose probe failed
├── Stale                the claim is another worker's by now
└── BadInput             `field` and `expected`
    ├── BadRunbook       a page contradicts itself
    ├── BadSignal        a signal or payload is malformed
    └── BadConfiguration every error of the configuration at once
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from byteport.grammar.verdict import Verdict


class BytePortError(Exception):
    """The root; nothing raises it itself."""


class Transient(BytePortError):
    """It may work when tried again: a time-out, an overload, a lost connection. Not before `retry_after`, where set."""

    def __init__(self, text: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class OutOfTime(Transient):
    """A time limit of ours was reached."""


class Unavailable(Transient):
    """One of BytePort's own stores cannot be reached."""


class Permanent(BytePortError):
    """Trying again cannot help; a person must look. `retry_after` is set where the target named a time."""

    def __init__(self, text: str, retry_after: timedelta | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Denied(Permanent):
    """The login lacks a right; the text names the right and how to grant it."""


class NotFound(Permanent):
    """What was asked for is not there, or the login may not see that it is."""


class Refusal(BytePortError):
    """A guard said no at the last moment; `verdict` says which and when it frees."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Paused(Refusal):
    """The kill switch is on."""


class Overspent(Refusal):
    """The ledger counted more than the budgets store knew of, or its epoch is outdated."""


class NotKnown(BytePortError):
    """A fact was asked for that its probe could not tell."""

    def __init__(self, field: str, why: str = "not looked at") -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class Stale(BytePortError):
    """The claim has passed to another worker, or the incident has moved on."""


class BadInput(BytePortError):
    """`field` is wrong; `expected` says what it should have been."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: {expected}")
        self.field = field
        self.expected = expected


class BadRunbook(BadInput):
    """A page contradicts itself, or asks for what does not exist."""


class BadSignal(BadInput):
    """A signal or a payload is malformed."""


class BadConfiguration(BytePortError):
    """Every error of the configuration at once: (key path, what was expected)."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__("\n".join(f"{key}: {expected}" for key, expected in problems))
        self.problems = problems
