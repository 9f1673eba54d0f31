"""An incident: one runbook's work on one target."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from byteport.grammar.diagnosis import Diagnosis
from byteport.grammar.plan import Plan
from byteport.model.base import Value
from byteport.model.signal import Mode, Signal


class Phase(StrEnum):
    """The engine's next move."""

    OPEN = "open"
    PROBE = "probe"
    CLASSIFY = "classify"
    PLAN = "plan"
    ACT = "act"
    VERIFY = "verify"
    ESCALATE = "escalate"
    WRITE_UP = "write_up"
    CLOSED = "closed"


Ending = Literal[
    "", "resolved", "partially_resolved", "recovered", "rehearsed", "suppressed", "handed_over", "cancelled", "closed"
]

PEOPLE_SAY: dict[Phase, str] = {
    Phase.OPEN: "received",
    Phase.PROBE: "diagnosing",
    Phase.CLASSIFY: "diagnosing",
    Phase.PLAN: "planned",
    Phase.ACT: "remediating",
    Phase.VERIFY: "verifying",
    Phase.ESCALATE: "escalated",
    Phase.WRITE_UP: "closing",
}


class CheckResult(Value):
    """A verification check as last looked at: `passed` None is unknown, `measured` False not configured."""

    name: str
    passed: bool | None = None
    measured: bool = True
    because: str = ""
    since: AwareDatetime | None = None


class Incident(Value):
    """`due_at` is every wait, retry and back-off; `cursor` the next step of the frozen plan, `attempt` tries of it.

    `looked_round` is the round of the plan's newest look, at first the one that acting began with, and `looked_before`
    that of its look before;
    `look_until` is the open round's deadline; `relooks` counts looks before a step that left its evidence too old,
    `asked` how often a person was asked for a plan, and `approve_by` until when they may answer;
    `escalated_at` says that people were told, `told_at` when last, `tellings` how often they were disturbed;
    `ending` how it closed; `driver` names the one process that may move it (empty: the fleet); `follows` the incident
    whose outcome it only looks at again: it plans nothing.
    """

    id: str
    runbook: str
    page: str
    signal: Signal
    phase: Phase = Phase.OPEN
    mode: Mode
    due_at: AwareDatetime
    opened_at: AwareDatetime
    round: int = 0
    pending: int = 0
    diagnosis: Diagnosis | None = None
    plan: Plan | None = None
    cursor: int = 0
    attempt: int = 0
    relooks: int = 0
    looked_round: int = 0
    looked_before: int = 0
    asked: int = 0
    approve_by: AwareDatetime | None = None
    version: int = 0
    reason: str = ""
    ending: Ending = ""
    person: str = ""
    driver: str = ""
    parent: str = ""
    follows: str = ""
    locked: bool = False
    look_until: AwareDatetime | None = None
    blocked_by_guard: bool = False
    undone: bool = False
    undo_checked_at: AwareDatetime | None = None
    undo_after: str = ""
    told_early: bool = False
    warned: bool = False
    waiting_since: AwareDatetime | None = None
    steady_since: AwareDatetime | None = None
    acted_at: AwareDatetime | None = None
    verifying_since: AwareDatetime | None = None
    checks: tuple[CheckResult, ...] = ()
    escalated_at: AwareDatetime | None = None
    told_at: AwareDatetime | None = None
    tellings: int = 0
    of_a_storm: bool = False
    acknowledged_at: AwareDatetime | None = None
    acknowledged_by: str = ""
    acknowledgement_told: bool = False
    closed_at: AwareDatetime | None = None
    last_signal_at: AwareDatetime | None = None
    clear_since: AwareDatetime | None = None
    signals_seen: int = 1
    severity_told: str = ""
    verified_at: AwareDatetime | None = None
    command: str = ""
    command_by: str = ""
    command_why: str = ""
    claimed_in_vain: int = 0
    hiccups: int = 0
    wants_hands: bool = False
    is_due_now: bool = Field(default=False, exclude=True)

    @property
    def awaits_approval(self) -> bool:
        """A person was asked and has not answered; once they have, the first try of the step is a look."""
        return self.phase is Phase.PLAN and self.mode is Mode.APPROVE and self.plan is not None and not self.attempt

    @property
    def word(self) -> str:
        """What people see."""
        if self.phase is Phase.CLOSED:
            return self.ending or "closed"
        if self.awaits_approval:
            return "awaiting_approval"
        if self.phase is Phase.WRITE_UP and self.ending:
            return self.ending
        return PEOPLE_SAY[self.phase]

    def due_in(self, delay: timedelta, now: AwareDatetime) -> Incident:
        """The same incident, due `delay` after the ledger's `now`."""
        return self.model_copy(update={"due_at": now + delay})

    def to(self, phase: Phase, **changes: object) -> Incident:
        """The next phase, due at once unless a `due_at` is among the changes; tries of the step start anew."""
        return self.model_copy(update={"phase": phase, "attempt": 0, "hiccups": 0, **changes})
