"""Who has grown, and when that cannot be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.actions.units import RestartUnit
from byteport.grammar.guard import Facts
from byteport.model.facts.memory import MIB, Consumer, History, Samples
from byteport.model.signal import Mode
from byteport.model.target import Target, TargetKind
from byteport.model.units import minutes
from byteport.runbooks.linux.memory_growth import growths
from byteport.runbooks.linux.memory_guards import InTime
from byteport.runbooks.linux.memory_pressure_evidence import MemoryEvidence

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def holds(unit: str, size: int, age: float = 90_000) -> Consumer:
    return Consumer(unit=f"{unit}.service", rss=size * MIB, pid=1, name=unit, age=age)


def held(minutes_ago: float = 60, **sizes: int) -> History:
    at = NOW - timedelta(minutes=minutes_ago)
    return History(
        source="x", series=tuple(Samples(key=f"{n}.service", points=((at, s * MIB),)) for n, s in sizes.items())
    )


def leaks(*now: Consumer, history: History) -> str:
    seen = growths(now, history, NOW)
    if seen.doubt:
        return "doubt"
    return seen.largest.consumer.unit if seen.largest and seen.largest.leaks else ""


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        (1200, 1000, "a.service"),
        (1199, 1000, ""),
        (300, 100, "a.service"),
        (299, 100, ""),
        (5000, 4500, ""),
        (200, 0, "a.service"),
    ],
)
def test_twenty_percent_and_two_hundred_mib(now, before, told):
    assert leaks(holds("a", now), history=held(a=before)) == told


@pytest.mark.parametrize(("ago", "told"), [(49, "doubt"), (50, "a.service"), (70, "a.service"), (71, "doubt")])
def test_only_what_was_seen_about_an_hour_ago_counts(ago, told):
    assert leaks(holds("a", 900), history=held(ago, a=100)) == told


def test_what_was_seen_in_an_earlier_life_tells_nothing():
    assert leaks(holds("a", 900, age=3599), history=held(60, a=100)) == "doubt"


def test_one_that_nobody_knows_and_that_cannot_have_grown_more_hides_nothing():
    assert leaks(holds("a", 900), holds("new", 150), history=held(a=100)) == "a.service"
    assert leaks(holds("a", 900), holds("new", 801), history=held(a=100)) == "doubt"


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 4000) | st.none()), min_size=1, max_size=6))
def test_whoever_is_said_to_leak_has_grown_at_least_as_much_as_anybody_can_have(told):
    now = [holds(f"s{n}", size) for n, (size, _) in enumerate(told)]
    before = {f"s{n}": was for n, (_, was) in enumerate(told) if was is not None}
    name = leaks(*now, history=held(**before))
    if name not in ("", "doubt"):
        n = int(name[1:].split(".")[0])
        grown = told[n][0] - before[f"s{n}"]
        assert grown >= 200
        assert all(grown >= size - (was or 0) for size, was in told)


def test_nothing_more_is_begun_two_minutes_after_the_first_write():
    guard = InTime(name="recovery_timeout", within=minutes(2))
    action: Any = RestartUnit(host="web1", unit="shop.service", group="web")
    evidence = MemoryEvidence(target=Target(kind=TargetKind.HOST, key="web1"), facts={}, looked_at=NOW)
    facts = Facts(evidence=evidence, runbook="memory_pressure", incident="i", now=NOW, mode=Mode.LIVE)
    assert guard.check(action, facts)
    late = replace(facts, evidence=replace(evidence, acted_at=NOW - minutes(3)))
    assert not guard.check(action, late)
    assert guard.check(action, replace(late, begun=True))  # what has begun is seen to its end
    assert guard.check(action, replace(facts, evidence=replace(evidence, acted_at=NOW - minutes(2))))
