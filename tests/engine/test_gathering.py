"""Every probe ends in an answer or in a typed failure that says why; nothing it does loses the round."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest

from byteport.engine.gathering import MOST_BYTES, ask_all, gather
from byteport.errors import Denied, OutOfTime, Permanent, Transient
from byteport.grammar.evidence import Evidence, Failure, probe
from byteport.grammar.runbook import Rule, Runbook
from byteport.model.base import Value
from byteport.model.target import Target, TargetKind
from byteport.model.units import seconds
from byteport.ports import Readers
from byteport.records.evidence import Answer, StoredAnswer
from tests.ward.pages import NEVER_WELL, ONE

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
VALVE = Target(kind=TargetKind.SERVICE, key="v1")


class Reading(Value):
    level: int
    note: str = ""


def page_asking(ask: Callable[[], Any], timeout: timedelta = seconds(5)) -> Runbook:
    @probe(over="gauge", timeout=timeout)
    def level(target: Target, readers: Readers) -> Reading:
        """The level."""
        return ask()  # type: ignore[no-any-return]

    @probe(over="gauge")
    def calm(target: Target, readers: Readers) -> Reading:
        """A probe that answers."""
        return Reading(level=1)

    class Levels(Evidence):
        level: Annotated[Reading, level]
        calm: Annotated[Reading, calm]

        def high(self) -> bool:
            """The level is high."""
            return self.level.level > 5

    Levels.__annotations__ = {"level": Annotated[Reading, level], "calm": Annotated[Reading, calm]}
    check = replace(NEVER_WELL[0], passes=Levels.high, needs=("level",))
    rule = Rule("high", 0.9, "act", when=Levels.high, then=ONE.rules[0].then)
    return replace(ONE, name="levels", evidence=Levels, rules=(rule,), checks={}, verify=(check,))


def answer_of(ask: Callable[[], Any], **more: Any) -> Answer:
    readers: Any = None
    answers = {a.field: a for a in ask_all(page_asking(ask, **more), ("level", "calm"), VALVE, readers)}
    assert answers["calm"].fact == {"level": 1, "note": ""}
    return answers["level"]


def raising(problem: Exception) -> Callable[[], Any]:
    def ask() -> Any:
        raise problem

    return ask


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (Transient("reset"), "unreachable"),
        (Permanent("gone"), "unreachable"),
        (Denied("GRANT pg_monitor"), "denied"),
        (OutOfTime("late"), "timeout"),
        (ZeroDivisionError("division"), "bug"),
    ],
)
def test_what_a_probe_raises_becomes_a_typed_failure(problem: Exception, kind: str) -> None:
    failure = answer_of(raising(problem)).failure
    assert failure is not None
    assert failure.kind == kind
    assert str(problem) in failure.text


def test_evidence_of_the_wrong_shape_names_the_field_and_the_expectation() -> None:
    failure = answer_of(lambda: {"level": "high"}).failure
    assert failure is not None
    assert failure.kind == "malformed"
    assert "level" in failure.text
    assert "integer" in failure.text


def test_a_probe_that_hangs_is_a_time_out_and_the_others_answer() -> None:
    release = threading.Event()
    began = time.monotonic()
    failure = answer_of(lambda: release.wait(20), timeout=seconds(0.3)).failure
    release.set()
    assert failure is not None
    assert (failure.kind, failure.text) == ("timeout", "level did not answer within 0.3 s")
    assert time.monotonic() - began < 5


def test_an_answer_beyond_the_bound_is_not_kept() -> None:
    answer = answer_of(lambda: Reading(level=1, note="x" * (MOST_BYTES + 1)))
    assert answer.fact is None
    assert answer.failure is not None
    assert "bytes" in answer.failure.text


def test_secrets_are_struck_out_before_an_answer_is_stored() -> None:
    answer = answer_of(lambda: Reading(level=1, note="postgresql://app:hunter2canary@db/shop"))
    assert "hunter2canary" not in str(answer.fact)
    failure = answer_of(raising(Transient("postgresql://app:hunter2canary@db/shop"))).failure
    assert "hunter2canary" not in str(failure)


def stored(round_: int, level: int | None, at: timedelta = timedelta(0)) -> StoredAnswer:
    failure = Failure(kind="timeout", text="late") if level is None else None
    fact = None if level is None else {"level": level, "note": ""}
    return StoredAnswer(field="level", fact=fact, failure=failure, round=round_, taken_at=NOW + at)


def test_the_newest_answer_counts_and_the_first_round_is_never_lost() -> None:
    page = page_asking(lambda: None)
    e: Any = gather(page, VALVE, [stored(1, 9), stored(2, 3, timedelta(seconds=40))], NOW + timedelta(minutes=1), {})
    assert e.level.level == 3
    assert e.before.level.level == 9
    assert e.age_of("level") == timedelta(seconds=20)


def test_what_was_known_a_step_ago_is_not_what_was_looked_at_since() -> None:
    page = page_asking(lambda: None)
    answers = [stored(1, 9), stored(2, 5), stored(3, 6), stored(4, 7)]
    e: Any = gather(page, VALVE, answers, NOW, {}, a_step_ago=2)
    assert (e.level.level, e.a_step_ago.level.level, e.before.level.level) == (7, 5, 9)
    assert e.a_step_ago.before.level.level == 9
    first: Any = gather(page, VALVE, answers, NOW, {})
    assert first.a_step_ago.level.level == 9


def test_what_an_incident_saw_that_this_one_follows_is_what_was_before() -> None:
    page = page_asking(lambda: None)
    earlier = gather(page, VALVE, [stored(1, 9), stored(2, 5)], NOW, {})
    e: Any = gather(page, VALVE, [stored(1, 4)], NOW, {}, earlier=earlier.before)
    assert (e.level.level, e.before.level.level) == (4, 9)


def test_an_old_answer_does_not_stand_in_for_a_lost_one() -> None:
    page = page_asking(lambda: None)
    e = gather(page, VALVE, [stored(1, 9), stored(2, None)], NOW, {})
    assert not e.knows("level")
    assert page.diagnose(e).name == "inconclusive"


def test_a_stored_answer_of_another_shape_is_a_failure_and_not_a_crash() -> None:
    page = page_asking(lambda: None)
    odd = stored(1, 9).with_(fact={"height": 9})
    e = gather(page, VALVE, [odd], NOW, {})
    assert e.failures["level"].kind == "malformed"
