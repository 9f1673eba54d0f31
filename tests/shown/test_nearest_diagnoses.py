"""What would have made a diagnosis good enough to act on: deductions, probes that did not answer, the rule that lacked least."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from byteport.grammar.diagnosis import Considered
from byteport.model.signal import Mode
from byteport.shown.record import Record
from tests.shown.records import LEAK, OTHERWISE, PERSON, answer, diagnosis, event, record, text, texts

DIAGNOSED, LOOKED = event("diagnosis", 2, floor=70), event("look", 1, round=1)


# -- confidence ------------------------------------------------------------------------------------------------------
def below(*lost: str, confidence: int, whole: int = 90, **more: Any) -> Record:
    lines = (LEAK.with_(confidence=whole),)
    made = diagnosis(*lines, confidence=confidence, deductions=lost)
    return record(LOOKED, DIAGNOSED, answers=(answer("gauge", "no route"),), diagnosis=made, plan=None, **more)


def test_below_the_floor_says_what_lost_it_and_why() -> None:
    assert text(below("-15: gauge is missing", confidence=66, whole=81)) == (
        "would have acted if confidence were 0.70 instead of 0.66; it lost 0.15 as gauge is missing "
        "(unreachable: no route), without that it is 0.81"
    )


def test_every_deduction_is_named() -> None:
    told = text(below("-15: gauge is missing", "-15: valve older than 5 min", confidence=60))
    assert "as gauge is missing (unreachable: no route) and it lost 0.15 as valve older than 5 min" in told


def test_a_rule_that_is_worth_less_than_the_floor_says_so() -> None:
    found = replace(below(confidence=90), events=(LOOKED, event("diagnosis", 2, floor=91)))
    assert text(found, floor=91) == (
        "would have acted if confidence were 0.91 instead of 0.90; no evidence lifts it there, leak is worth 0.90 at most"
    )


def test_the_floor_is_the_one_that_it_was_held_against_and_todays_is_told_where_it_would_do() -> None:
    found = replace(below("-15: gauge is missing", confidence=75), events=(LOOKED, event("diagnosis", 2, floor=80)))
    assert "were 0.80 instead of 0.75" in text(found)
    assert text(found).endswith("; the floor is 0.70 by now")


def test_without_a_recorded_floor_the_present_one_counts() -> None:
    found = replace(below("-15: gauge is missing", confidence=66, whole=81), events=(event("diagnosis", 2),))
    assert "were 0.72 instead of 0.66" in text(found, floor=72)


# -- no answer, no rule ----------------------------------------------------------------------------------------------
UNKNOWN = Considered(
    name="low", held=None, because="unknown", confidence=85, reads=("gauge",), missing=("gauge",), disposition="act"
)


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ((UNKNOWN,), "would have acted had gauge answered (unreachable: no route) and low held"),
        ((UNKNOWN, LEAK), "would have acted had gauge answered (unreachable: no route)"),
        (
            (UNKNOWN.with_(disposition="escalate"), LEAK),
            "would have acted had gauge answered (unreachable: no route) and low been ruled out",
        ),
        (
            (UNKNOWN.with_(disposition="escalate"), PERSON),
            "nothing: had gauge answered (unreachable: no route), it would have gone to a person all the same",
        ),
        (
            (UNKNOWN.with_(confidence=60), PERSON),
            "nothing: had gauge answered (unreachable: no route), it would have gone to a person all the same",
        ),
        (
            (UNKNOWN.with_(disposition=None),),
            "might have acted had gauge answered (unreachable: no route); low could not be told",
        ),
        (
            (UNKNOWN.with_(missing=("gauge", "pulse")),),
            "would have acted had gauge answered (unreachable: no route) and pulse answered (no answer in time) and low held",
        ),
    ],
)
def test_inconclusive_names_the_probe_its_failure_and_what_it_would_have_led_to(lines: Any, wanted: str) -> None:
    made = diagnosis(*lines, name="inconclusive", disposition="escalate", confidence=0)
    found = record(LOOKED, DIAGNOSED, answers=(answer("gauge", "no route"),), diagnosis=made, plan=None)
    assert text(found) == wanted
    assert text(found, probes={"gauge": "gauge_probe"}) == wanted.replace("had gauge", "had gauge_probe")


RULED_OUT = LEAK.with_(held=False, because="not so: The valve leaks", lacks=("The valve leaks",))


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ((RULED_OUT,), "would have acted if leak had held (0.90); it lacked only: The valve leaks"),
        (
            (
                RULED_OUT.with_(name="far", lacks=("a", "b")),
                RULED_OUT.with_(name="near"),
                RULED_OUT.with_(name="later"),
            ),
            "would have acted if near had held (0.90); it lacked only: The valve leaks",
        ),
        ((RULED_OUT.with_(lacks=("a", "b")),), "would have acted if leak had held (0.90); it lacked: a; b"),
        (
            (RULED_OUT.with_(disposition="escalate"),),
            "nothing: no rule held, and none of those ruled out would have acted",
        ),
        ((RULED_OUT.with_(confidence=60),), "nothing: no rule held, and none of those ruled out would have acted"),
    ],
)
def test_where_no_rule_held_the_nearest_one_is_named(lines: Any, wanted: str) -> None:
    made = diagnosis(*lines, OTHERWISE, name="unknown", disposition="escalate", confidence=0)
    assert text(record(LOOKED, DIAGNOSED, diagnosis=made, plan=None)) == wanted


def test_a_dry_run_that_was_not_sure_needs_both() -> None:
    first, second = texts(below("-15: gauge is missing", confidence=66, whole=81, mode=Mode.DRY_RUN))
    assert first.startswith("would have acted if confidence were 0.70")
    assert second == "acts once ward_one is promoted to live"
