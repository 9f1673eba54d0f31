"""Restarting a host's system service, and giving it less of the CPUs for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from byteport.errors import NotFound
from byteport.grammar.action import Action, Effect, Marked
from byteport.model.base import Json
from byteport.model.facts.system_units import NAME, SystemUnit
from byteport.model.privileged import RestartVerb
from byteport.model.units import minutes
from byteport.ports import Readers, Writers

HostName = Annotated[str, StringConstraints(pattern=r"^[^/\s\x00-\x1f]{1,253}$")]
UnitName = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$")]
Weight = Annotated[int, Field(ge=1, le=10_000)]
SETTLED = 5.0  # seconds that a service must have been up before its restart counts
FLAPS = 3


class OfUnit(Action):
    """One system service of a host of the configuration. `group` is the host's inventory group."""

    host: HostName
    unit: UnitName
    group: str = Field(min_length=1, max_length=63)

    @property
    def subject(self) -> str:
        return service_name(self.host, self.unit)

    @property
    def write_scope(self) -> str:
        return f"host_group:{self.group}"

    @property
    def within(self) -> tuple[str, ...]:
        return (f"host:{self.host}",)

    def found(self, readers: Readers) -> SystemUnit:
        """The service as it is now; raises NotFound."""
        unit = readers.system_units.unit(self.host, self.unit)
        if unit is None:
            raise NotFound(f"{self.host} has no service {self.unit}")
        return unit


class RestartUnit(OfUnit):
    """Start it anew, once. It has happened when it runs under another invocation than before and has stayed up for
    some seconds; that it failed, or ends again and again, is known too. By default one that does not run is left alone
    (try-restart), since somebody may have stopped it."""

    idempotent: ClassVar[bool] = False
    verbs: ClassVar[tuple[str, ...]] = ("restart",)
    patience: ClassVar[timedelta] = minutes(3)  # a service may take 90 s to stop

    verb: RestartVerb = "try-restart"

    def preview(self, readers: Readers) -> str:
        return f"on {self.host}: systemctl {self.verb} {self.unit}"

    def look_before(self, readers: Readers) -> Json:
        unit = self.found(readers)
        return {"invocation": unit.invocation, "active": unit.active, "main_pid": unit.main_pid}

    def holds(self, readers: Readers, intent: Marked) -> bool:
        unit = self.found(readers)
        settled = unit.up_seconds is None or unit.up_seconds >= SETTLED
        return unit.active == "active" and _is_another(unit, intent) and settled

    def failed(self, readers: Readers, intent: Marked) -> str:
        unit = self.found(readers)
        if unit.active == "failed":
            return f"it did not come up: {unit}"
        if _is_another(unit, intent) and (unit.restarts or 0) >= FLAPS:
            return f"it does not stay up, {unit.restarts} times by now: {unit}"
        if unit.active == "inactive" and intent.effect is not None:
            return f"it does not run any more: {unit}"
        return ""

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        writers.system_units.restart(self.host, self.unit, intent.pre_state["invocation"], self.verb)
        return Effect(note=f"{self.verb} of {self.unit} on {self.host}", items=(self.unit,))


class SetCpuWeight(OfUnit):
    """Its share of the CPUs against its neighbours', until the next boot; None is the default."""

    idempotent: ClassVar[bool] = True
    verbs: ClassVar[tuple[str, ...]] = ("set-property",)

    was: Weight | None = None
    to: Weight | None

    def preview(self, readers: Readers) -> str:
        return f"on {self.host}: CPUWeight of {self.unit} {_said(self.was)} -> {_said(self.to)}, until the next boot"

    def look_before(self, readers: Readers) -> Json:
        unit = self.found(readers)
        return {"cpu_weight": unit.cpu_weight, "boot": unit.boot}

    def holds(self, readers: Readers, intent: Marked) -> bool:
        return self.found(readers).cpu_weight == self.to

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        writers.system_units.set_cpu_weight(self.host, self.unit, self.was, self.to)
        return Effect(note=f"CPUWeight of {self.unit} {_said(self.was)} -> {_said(self.to)}", items=(self.unit,))


class DemoteUnit(SetCpuWeight):
    """Less than its neighbours get. What somebody brings back meanwhile stays; a boot is nobody's undo."""

    lasting: ClassVar[bool] = True

    to: Weight = 20


class RestoreUnitWeight(SetCpuWeight):
    """Back to what it was; where somebody has set another weight since, that one stays."""


def service_name(host: str, unit: str) -> str:
    """What locks and budgets know a host's service by, and signals that are about it alone."""
    return f"service:{unit}@{host}"


def _is_another(unit: SystemUnit, intent: Marked) -> bool:
    """Before systemd 232 an invocation had no name; then the main process tells."""
    if not unit.invocation:
        return unit.main_pid not in (0, intent.pre_state.get("main_pid"))
    return unit.invocation != intent.pre_state.get("invocation")


def _said(weight: int | None) -> str:
    return "default" if weight is None else str(weight)
