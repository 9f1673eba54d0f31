"""The runbooks of the benchmark: eight probes over two connections, one action and its check, on a patient that costs
nothing, so that what is measured is BytePort."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

from byteport.grammar.action import Action, Effect, Marked
from byteport.grammar.evidence import Evidence, Probe, probe
from byteport.grammar.guards import Budget
from byteport.grammar.plan import Plan
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Rule, Runbook
from byteport.model.base import Value
from byteport.model.target import Target, TargetKind
from byteport.model.units import minutes, seconds
from byteport.ports import Readers, Writers

DONE = "BENCH_DONE"
PAUSE = "BENCH_PROBE_SECONDS"


class Patient:
    """Whatever is asked is so; what is done is done at once, and is a file afterwards."""

    def __init__(self) -> None:
        self.folder = Path(os.environ[DONE])

    def is_turned(self, valve: str) -> bool:
        return (self.folder / valve).exists()

    def turn(self, valve: str) -> None:
        (self.folder / valve).touch()

    def reading(self) -> int:
        """After as long as the configuration says that a probe takes."""
        if pause := float(os.environ.get(PAUSE, "0")):
            time.sleep(pause)
        return 1


READERS = {"bench": Patient}
WRITERS = {"bench": Patient}


def patient(ports: Any) -> Any:
    return ports.bench


class Reading(Value):
    """One figure, as most probes bring."""

    level: int


def gauge(name: str, over: str) -> Probe[Reading]:
    def look(_target: Target, readers: Readers) -> Reading:
        """One figure."""
        return Reading(level=patient(readers).reading())

    look.__name__ = name
    return probe(over=over)(look)


class EightReadings(Evidence):
    """Eight probes over two connections."""

    north_1: Annotated[Reading, gauge("north_1", "north")]
    north_2: Annotated[Reading, gauge("north_2", "north")]
    north_3: Annotated[Reading, gauge("north_3", "north")]
    north_4: Annotated[Reading, gauge("north_4", "north")]
    south_1: Annotated[Reading, gauge("south_1", "south")]
    south_2: Annotated[Reading, gauge("south_2", "south")]
    south_3: Annotated[Reading, gauge("south_3", "south")]
    south_4: Annotated[Reading, gauge("south_4", "south")]

    def sick(self) -> bool:
        """Every level is up."""
        return min(getattr(self, f"{side}_{n}").level for side in ("north", "south") for n in range(1, 5)) > 0

    def well(self) -> bool:
        """The first level is up."""
        return self.north_1.level > 0


class Turn(Action):
    """Nothing, at once; everything around it is as for any other action."""

    timeout: ClassVar[timedelta] = seconds(5)
    patience: ClassVar[timedelta] = seconds(60)
    idempotent: ClassVar[bool] = True
    name: str

    @property
    def subject(self) -> str:
        return f"valve:{self.name}"

    @property
    def write_scope(self) -> str:
        return f"bench-{self.name}"

    def look_before(self, readers: Readers) -> dict[str, Any]:
        return {"level": 1}

    def preview(self, readers: Readers) -> str:
        return f"turn {self.name}"

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        return bool(patient(readers).is_turned(self.name))

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        patient(writers).turn(self.name)
        return Effect(note="turned")


TURN = Move("turn", Turn, (Budget(name="turns", limit=1_000_000, per=minutes(10)),))


def plan(evidence: EightReadings) -> Plan:
    return Plan(steps=(TURN(name=evidence.target.key),))


RUNBOOK = Runbook(
    name="bench", title="Bench", category="bench", summary="For the benchmark.", signals=(OnSignal("bench"),),
    target=TargetKind.SERVICE, target_key="valve", evidence=EightReadings, moves=(TURN,),
    rules=(Rule("sick", 0.9, "act", when=EightReadings.sick, then=plan),), checks={"well": ("north_1",)},
    verify=(Check("well", EightReadings.well, needs=("north_1",), within=seconds(1), every=seconds(1)),),
    escalate=Escalation(channels=("journal",), once_per=minutes(10)), permissions={"bench": ("turn",)},
)  # fmt: skip
