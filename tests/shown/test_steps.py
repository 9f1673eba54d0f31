"""The plan as people read it: every kind of step has its words."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

from byteport.grammar.plan import Await, EndIf, Look, Pause, Plan, Step, Tell
from byteport.records.incident import Phase
from byteport.shown.steps import steps_of
from tests.shown.records import record
from tests.ward import pages

HALF_A_MINUTE = timedelta(seconds=30)
EVERY_KIND = (
    pages.PULSE(name="v1"),
    Look(fields=("valve",)),
    Pause(length=HALF_A_MINUTE),
    Await(check="dry", within=HALF_A_MINUTE),
    EndIf(check="closed_twice", end="partial"),
    Tell(check="leaks", reason="it leaks while it is turned"),
)


def test_every_kind_of_step_is_told():
    assert {type(step) for step in EVERY_KIND} == set(get_args(Step))
    found = record(plan=Plan(steps=EVERY_KIND), phase=Phase.ACT, escalated_at=None)
    assert [line.text for line in steps_of(found)] == [
        "pulse on valve:v1",
        "look again at valve",
        "wait 30 s",
        "wait up to 30 s until dry",
        "if closed twice: partial",
        "if leaks: tell people, and go on",
    ]
