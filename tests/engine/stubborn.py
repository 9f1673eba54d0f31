"""Pages whose actions and undos break in odd ways, for tests of what must not get stuck or be done blindly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from byteport.errors import Transient
from byteport.grammar.action import Action, Effect, Marked
from byteport.grammar.guards import Requires
from byteport.grammar.plan import Pause, Plan, Undo
from byteport.grammar.runbook import Escalation, Move
from byteport.model.units import days, hours, minutes
from byteport.ports import Readers, Writers
from tests.ward import pages


class CannotTell(pages.SetValve):
    """`holds` answers None (cannot be told) for as long as the valve does not answer."""

    def look_before(self, readers: Readers) -> dict[str, Any]:
        return {}

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        try:
            return super().holds(readers, intent)
        except Transient:
            return None


class BuggyHolds(pages.SetValve):
    """Its `holds` has a bug once it was begun."""

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        if intent.attempts:
            raise KeyError("bug")
        return False


class BuggyUndo(pages.SetValve):
    """An undo with a bug."""

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        raise KeyError("bug")


class LateEffect(pages.SetValve):
    """The call is cut off; the target goes on with it and is through only later."""

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        raise Transient("read timed out")


class Unhurried(pages.SetValve):
    """The target says yes at once, and is through only later."""

    patience = minutes(3)

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        return Effect(note="will be done")


def undoing(action: type[Action], when: str | None, back: type[Action] = pages.SetValve) -> Callable[[Any], Plan]:
    def plan(e: Any) -> Plan:
        undo = Undo(action=back(name=pages.key(e), was=7, to=0), when=when, by=minutes(10))
        return Plan(steps=(Move(action.__name__, action, pages.WIDE)(undo=undo, name=pages.key(e), was=0, to=7),))

    return plan


def page(name: str, action: type[Action], when: str | None, back: type[Action] = pages.SetValve, **more: Any) -> Any:
    moves = (Move(action.__name__, action, pages.WIDE),)
    return pages.page(name, undoing(action, when, back), moves=moves, **more)


def two_undos(e: Any) -> Plan:
    first = Undo(action=pages.SetValve(name=pages.key(e), was=7, to=0), by=minutes(10))
    second = Undo(action=pages.SetValve(name=pages.key(e), was=9, to=7), when="leaks", by=minutes(10))
    name = pages.key(e)
    return Plan(steps=(pages.SET(undo=first, name=name, was=0, to=7), pages.SET(undo=second, name=name, was=7, to=9)))


def slow(e: Any) -> Plan:
    name = pages.key(e)
    return Plan(steps=(pages.PULSE(name=name), Pause(length=minutes(55)), pages.PULSE(name=name, turn=2)))


def owing(e: Any) -> Plan:
    back = Undo(action=pages.SetValve(name=pages.key(e), was=7, to=0), when="leaks", by=hours(4))
    return Plan(steps=(pages.SET(undo=back, name=pages.key(e), was=0, to=7),))


ALL = (
    page("ward_cannot_tell", CannotTell, None, verify=pages.NEVER_WELL),
    page("ward_buggy_holds", BuggyHolds, None),
    page("ward_buggy_undo", pages.SetValve, "leaks", BuggyUndo, verify=pages.NEVER_WELL),
    page("ward_late_effect", LateEffect, None),
    pages.page("ward_two_undos", two_undos, verify=pages.NEVER_WELL),
    pages.page("ward_owing_long", owing),
    pages.page("ward_slow_plan", slow, cooldown=hours(1)),
    pages.page("ward_cool_failing", pages.one, cooldown=hours(1), verify=pages.NEVER_WELL),
    pages.page("ward_long_cooldown", pages.one, cooldown=days(7)),
    page(
        "ward_unhurried",
        Unhurried,
        None,
        guards=(Requires(name="pressure", condition=pages.WardEvidence.pressure_known),),
    ),
    pages.page(
        "ward_unnamed", pages.one, guards=(Requires(name="pressure", condition=pages.WardEvidence.pressure_known),)
    ),
    replace(
        pages.page("ward_no_bundle", pages.one, verify=pages.NEVER_WELL),
        escalate=Escalation(channels=("slack",), once_per=hours(1), bundle=lambda _story: None),  # type: ignore[arg-type,return-value]
    ),
)
