"""One page for every shape of plan. They act on valves, whose own table counts what was done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from byteport.grammar.action import Action, Effect, Marked
from byteport.grammar.evidence import Evidence, probe
from byteport.grammar.guards import Budget, CeilingBudget, Guard, OptIn, Requires, SkipIf
from byteport.grammar.plan import Await, EndIf, HandOver, Look, Pause, Plan, Undo, until
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Rule, Runbook
from byteport.model.target import Target, TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.ports import Readers, Writers
from tests.ward.patient import Gauge, Valve


def ward_of(ports: Any) -> Any:
    return ports.ward


@probe(over="valves")
def valve_state(target: Target, readers: Readers) -> Valve:
    """The valve as it is."""
    return Valve.model_validate(ward_of(readers).valve(target.key).model_dump())


@probe(over="gauges")
def gauge(target: Target, readers: Readers) -> Gauge:
    """The pressure behind it."""
    return Gauge(pressure=100 * (1 + ward_of(readers).valve(target.key).value))


class WardEvidence(Evidence):
    """What we look at, and how we read it."""

    valve: Annotated[Valve, valve_state]
    gauge: Annotated[Gauge, gauge]

    def leaks(self) -> bool:
        """The valve leaks."""
        return bool(self.valve.leaking)

    def dry(self) -> bool:
        """The valve has stopped leaking."""
        return not self.valve.leaking

    def closed_twice(self) -> bool:
        """The valve is closed by two turns or more."""
        return bool(self.valve.value >= 2)

    def never(self) -> bool:
        """The valve is at ninety-nine, which it never is."""
        return bool(self.valve.value == 99)

    def pressure_known(self) -> bool:
        """The gauge shows a pressure."""
        return bool(self.gauge.pressure > 0)


class _OnValve(Action):
    name: str

    @property
    def subject(self) -> str:
        return f"valve:{self.name}"

    @property
    def write_scope(self) -> str:
        return f"ward-{self.name}"

    def look_before(self, readers: Readers) -> dict[str, Any]:
        return {"value": ward_of(readers).valve(self.name).value}


class Pulse(_OnValve):
    """One turn more: not idempotent; the target keeps the intent's name, so that `holds` can tell."""

    idempotent: ClassVar[bool] = False
    timeout: ClassVar[timedelta] = seconds(5)
    patience: ClassVar[timedelta] = seconds(60)
    turn: int = 1

    def preview(self, readers: Readers) -> str:
        return f"turn {self.name} by one"

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        return bool(ward_of(readers).has_effect(intent.key))

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        ward_of(writers).change(self.name, "pulse", intent.key, None, None)
        return Effect(note="turned by one")


class SetValve(_OnValve):
    """A state: repeating is harmless."""

    idempotent: ClassVar[bool] = True
    timeout: ClassVar[timedelta] = seconds(5)
    was: int
    to: int

    def preview(self, readers: Readers) -> str:
        return f"set {self.name} from {self.was} to {self.to}"

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        return bool(ward_of(readers).valve(self.name).value == self.to)

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        ward_of(writers).change(self.name, "set", intent.key, self.to, self.was)
        return Effect(note=f"set to {self.to}")


class Dial(SetValve):
    """A state that stays: whoever brings back the old one has a reason."""

    lasting: ClassVar[bool] = True


class Touch(_OnValve):
    """A batch: touches the members that are named."""

    idempotent: ClassVar[bool] = True
    divisible: ClassVar[bool] = True
    members: tuple[int, ...]

    @property
    def amount(self) -> int:
        return len(self.members)

    def first(self, n: int) -> Touch:
        return self.with_(members=self.members[:n])

    def preview(self, readers: Readers) -> str:
        return f"touch {len(self.members)} of {self.name}"

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        return bool(ward_of(readers).has_effect(intent.key))

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        ward_of(writers).change(self.name, "set", intent.key, len(self.members), None)
        return Effect(note=f"touched {len(self.members)}", count=len(self.members))


WIDE = (Budget(name="wide", limit=1000, per=hours(1)),)
PULSE = Move("pulse", Pulse, WIDE)
SET = Move("set", SetValve, WIDE, undo=SetValve)
DIAL = Move("dial", Dial, WIDE)
BATCH = Move("batch", Touch, (Budget(name="batch_cap", limit=3, per=minutes(1)),))


def key(e: Evidence) -> str:
    return e.target.key


def page(
    name: str,
    then: Callable[[Any], Plan],
    moves: tuple[Move, ...] = (PULSE, SET, BATCH),
    verify: tuple[Check, ...] | None = None,
    guards: tuple[Guard, ...] = (),
    **more: Any,
) -> Runbook:
    quick = Check("dry", WardEvidence.dry, needs=("valve",), after=seconds(0), within=seconds(0), every=seconds(1))
    return Runbook(
        name=name, title=name, category="ward", summary=f"{name}, for tests.", signals=(OnSignal(name),),
        target=TargetKind.SERVICE, target_key="valve", evidence=WardEvidence, moves=moves, guards=guards,
        rules=(Rule("leak", 0.9, "act", when=WardEvidence.leaks, then=then, supported_by=("gauge",)),),
        checks={"dry": ("valve",), "closed_twice": ("valve",), "never": ("valve",), "leaks": ("valve",)},
        verify=verify or (quick,), options=(Option("tight", 1000, "a limit"),),
        escalate=Escalation(channels=("slack",), once_per=hours(1)), permissions={"ward": ("turn",)}, **more,
    )  # fmt: skip


def one(e: WardEvidence) -> Plan:
    return Plan(steps=(PULSE(name=key(e)),))


def several(e: WardEvidence) -> Plan:
    return Plan(
        steps=(
            SET(name=key(e), was=0, to=0), PULSE(name=key(e)), Pause(length=seconds(1)), Look(fields=("valve",)),
            EndIf(check="closed_twice", end="verify"), PULSE(name=key(e), turn=2),
            Await(check="closed_twice", within=seconds(30), every=seconds(1)),
        )
    )  # fmt: skip


def stepwise(e: WardEvidence) -> Plan:
    turns = [PULSE(name=key(e), turn=n) for n in range(4)]
    return Plan(steps=until("closed_twice", *turns, look=("valve",)), end="escalate")


def with_undo(e: WardEvidence) -> Plan:
    back = Undo(action=SetValve(name=key(e), was=7, to=0), when="dry", by=minutes(10))
    return Plan(steps=(SET(undo=back, name=key(e), was=0, to=7),))


def one_further(e: WardEvidence) -> Plan:
    return Plan(steps=(DIAL(name=key(e), was=e.valve.value, to=e.valve.value + 1),))


NEVER_WELL = (
    Check("never", WardEvidence.never, needs=("valve",), after=seconds(0), within=seconds(1), every=seconds(1)),
)
STUCK_BUDGET = Budget(name="turns_a_day", limit=1, per=hours(24), counter="turns")

ONE = page("ward_one", one)
SEVERAL = page("ward_several", several)
STEPWISE = page("ward_stepwise", stepwise)
UNDOING = page("ward_undoing", with_undo, verify=NEVER_WELL)
FAILING = page("ward_failing", one, verify=NEVER_WELL)
BATCHED = page("ward_batched", lambda e: Plan(steps=(BATCH(name=key(e), members=(1, 2, 3, 4, 5)),), end="partial"))
HANDING = page("ward_handing", lambda _e: Plan(end=HandOver(runbook="ward_one", reason="not mine")))
LIMITED = page("ward_limited", one, moves=(Move("pulse", Pulse, (STUCK_BUDGET,)), SET, BATCH))
OPTING = page(
    "ward_opting", one,
    guards=(SkipIf(name="skip", key="byteport.io/skip"), OptIn(name="opted_in", key="byteport.io/auto-remediate", word="valve")),
)  # fmt: skip
CEILED = page(
    "ward_ceiled", stepwise,
    moves=(Move("pulse", Pulse, (CeilingBudget(name="per_incident", limit=1, per_incident=True),)), SET, BATCH),
)  # fmt: skip
REQUIRING = page(
    "ward_requiring", one,
    guards=(Requires(name="pressure", condition=WardEvidence.pressure_known, reads=("gauge",)),),
)  # fmt: skip
LASTING = page("ward_lasting", one_further, moves=(DIAL,))
COOLING = page("ward_cooling", one, cooldown=hours(1))

ALL = (
    ONE, SEVERAL, STEPWISE, UNDOING, FAILING, BATCHED, HANDING, LIMITED, OPTING, CEILED, REQUIRING, COOLING, LASTING,
)  # fmt: skip
