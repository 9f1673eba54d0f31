"""One page for every shape of plan and every kind of limit, for valves named `page.scope.number`.

What may be done to a valve can be told from its name, so that the judge needs nobody's word but the patient's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from byteport.grammar.action import Action, Effect, Marked
from byteport.grammar.evidence import Evidence, probe
from byteport.grammar.guards import Budget, CeilingBudget
from byteport.grammar.plan import Await, EndIf, HandOver, Look, Pause, Plan, Undo, until
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Rule, Runbook
from byteport.model.base import Value
from byteport.model.target import Target, TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.ports import Readers, Writers
from tests.chaos.patient import Valve, from_environment

READERS = {"ward": from_environment}
WRITERS = {"ward": from_environment}


def ward_of(ports: Any) -> Any:
    return ports.ward


class Gauge(Value):
    """What another connection tells of the valve."""

    pressure: int


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


class _OnValve(Action):
    timeout: ClassVar[timedelta] = seconds(5)
    patience: ClassVar[timedelta] = seconds(60)
    name: str
    page: str

    @property
    def subject(self) -> str:
        return f"valve:{self.name}"

    @property
    def write_scope(self) -> str:
        return scope_of(self.name)

    def look_before(self, readers: Readers) -> dict[str, Any]:
        return {"version": ward_of(readers).valve(self.name).version}

    def preview(self, readers: Readers) -> str:
        return f"{type(self).__name__.lower()} {self.name}"


class Pulse(_OnValve):
    """One turn more: not idempotent, so never sent twice; the target keeps the intent's name for `holds`."""

    idempotent: ClassVar[bool] = False
    turn: int = 1

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        return bool(ward_of(readers).has_effect(intent.key))

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        ward_of(writers).change(intent.key, self.name, "pulse", self.page, 1, None, None)
        return Effect(note="turned by one")


class SetValve(_OnValve):
    """A state, which only the version that was seen before may be brought to: repeating is harmless."""

    idempotent: ClassVar[bool] = True
    to: int
    back: bool = False

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        return bool(ward_of(readers).valve(self.name).value == self.to)

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        kind, seen = "undo" if self.back else "set", intent.pre_state["version"]
        ward_of(writers).change(intent.key, self.name, kind, self.page, 1, self.to, seen)
        return Effect(note=f"set to {self.to}")


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

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        return bool(ward_of(readers).has_effect(intent.key))

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        seen = intent.pre_state["version"]
        ward_of(writers).change(intent.key, self.name, "touch", self.page, self.amount, self.amount, seen)
        return Effect(note=f"touched {self.amount}", count=self.amount)


def scope_of(valve: str) -> str:
    """`ward-g3` for `one.g3.17`."""
    return f"ward-{valve.split('.')[1]}"


WIDE = (Budget(name="wide", limit=100_000, per=hours(1)),)
BRIEF = Budget(name="brief", limit=3, per=minutes(1), scope=lambda action: action.write_scope, by_amount=False)
DAILY = Budget(name="turns_a_day", limit=1, per=hours(24))
BATCH_CAP = Budget(name="batch_cap", limit=3, per=minutes(1))
ONCE = CeilingBudget(name="per_incident", limit=1, per_incident=True)
WELL = Check("dry", WardEvidence.dry, needs=("valve",), within=seconds(25), every=seconds(2))
UNWELL = Check("never", WardEvidence.never, needs=("valve",), within=seconds(1), every=seconds(1))


def page(
    name: str, then: Callable[[Any, Callable[..., Any], dict[str, Any]], Plan], pulse: tuple[Budget, ...] = WIDE,
    check: Check = WELL, **more: Any,
) -> Runbook:  # fmt: skip
    """`then` is given the pulse and what names valve and page, for its steps."""
    moves = (
        Move("pulse", Pulse, pulse), Move("set", SetValve, WIDE, undo=SetValve), Move("touch", Touch, (BATCH_CAP,)),
    )  # fmt: skip

    def plan(e: Evidence) -> Plan:
        return then(e, moves[0], {"name": e.target.key, "page": name})

    return Runbook(
        name=name, title=name, category="ward", summary=f"{name}, for the campaign.", signals=(OnSignal(name),),
        target=TargetKind.SERVICE, target_key="valve", evidence=WardEvidence, moves=moves,
        rules=(Rule("leak", 0.9, "act", when=WardEvidence.leaks, then=plan, supported_by=("gauge",)),),
        checks={"dry": ("valve",), "closed_twice": ("valve",), "never": ("valve",), "leaks": ("valve",)},
        verify=(check,), escalate=Escalation(channels=("slack",), once_per=hours(1)), permissions={"ward": ("turn",)},
        **more,
    )  # fmt: skip


def one(_e: Any, pulse: Any, valve: dict[str, Any]) -> Plan:
    return Plan(steps=(pulse(**valve),))


def several(_e: Any, pulse: Any, valve: dict[str, Any]) -> Plan:
    return Plan(
        steps=(
            pulse(**valve), Pause(length=seconds(1)), Look(fields=("valve",)), EndIf(check="closed_twice", end="verify"),
            pulse(turn=2, **valve), Await(check="closed_twice", within=seconds(60), every=seconds(2)),
        )
    )  # fmt: skip


def stepwise(_e: Any, pulse: Any, valve: dict[str, Any]) -> Plan:
    turns = [pulse(turn=n, **valve) for n in range(4)]
    return Plan(steps=until("closed_twice", *turns, look=("valve",)), end="escalate")


def with_undo(_e: Any, _pulse: Any, valve: dict[str, Any]) -> Plan:
    back = Undo(action=SetValve(to=0, back=True, **valve), when="dry", by=minutes(10))
    return Plan(steps=(Move("set", SetValve, WIDE, undo=SetValve)(undo=back, to=7, **valve),))


def batch(_e: Any, _pulse: Any, valve: dict[str, Any]) -> Plan:
    return Plan(steps=(Move("touch", Touch, (BATCH_CAP,))(members=(1, 2, 3, 4, 5), **valve),), end="partial")


def hand(_e: Any, _pulse: Any, _valve: dict[str, Any]) -> Plan:
    return Plan(end=HandOver(runbook="ward_one", reason="not mine"))


ALL = {
    made.name: made
    for made in (
        page("ward_one", one),
        page("ward_several", several),
        page("ward_stepwise", stepwise),
        page("ward_undoing", with_undo, check=UNWELL),
        page("ward_failing", one, check=UNWELL),
        page("ward_batched", batch),
        page("ward_handing", hand),
        page("ward_limited", one, pulse=(DAILY,), cooldown=timedelta(0)),
        page("ward_brief", one, pulse=(BRIEF,)),
        page("ward_crowded", one),
        page("ward_ceiled", stepwise, pulse=(ONCE,)),
        page("ward_shy", one),  # never promoted: it may only rehearse
    )
}
