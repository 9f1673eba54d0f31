"""Rules are tried in order; what is unknown before the first true one makes the diagnosis inconclusive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.errors import NotKnown
from byteport.grammar.truth import all_of, any_of, not_, truth_of
from byteport.model.confidence import CONFIDENCE_FLOOR
from tests.grammar.conftest import BIG_HEAP, LEAK, PRESSED_NODE, TRAFFIC, evidence
from tests.grammar.oom_facts import Pod, Series
from tests.grammar.oom_page import PAGE, OomEvidence

NEEDED = {
    "runtime_misconfig": {"runtime"},
    "node_pressure": {"runtime", "node", "pod"},
    "genuine_memory_leak": {"runtime", "node", "pod", "series"},
    "traffic_spike": {"runtime", "node", "pod", "series"},
    "undersized_limit": {"runtime", "node", "pod", "series"},
}
CASES: list[dict[str, Any]] = [BIG_HEAP, PRESSED_NODE, LEAK, TRAFFIC, {}]
PROBES = ["pod", "node", "hpa", "deploy", "runtime", "series"]


@pytest.mark.parametrize(
    ("changed", "diagnosis"),
    [
        (BIG_HEAP, "runtime_misconfig"),
        (PRESSED_NODE, "node_pressure"),
        (LEAK, "genuine_memory_leak"),
        (TRAFFIC, "traffic_spike"),
        ({}, "undersized_limit"),
        (LEAK | BIG_HEAP, "runtime_misconfig"),
        (PRESSED_NODE | LEAK, "node_pressure"),
        ({"series": Series(plateau=0.2)}, "unknown"),
    ],
)
def test_the_first_rule_that_holds_wins(changed: dict[str, Any], diagnosis: str) -> None:
    assert PAGE.diagnose(evidence(**changed)).name == diagnosis


@given(st.sampled_from(CASES), st.sampled_from(PROBES))
def test_a_failed_probe_never_makes_another_class_win(case: dict[str, Any], lost: str) -> None:
    whole, got = PAGE.diagnose(evidence(**case)), PAGE.diagnose(evidence(**case, missing=(lost,)))
    assert got.name in (whole.name, "inconclusive")
    assert got.name == "inconclusive" or lost not in NEEDED[whole.name] or _decided_without(case, lost)


def _decided_without(case: dict[str, Any], lost: str) -> bool:
    """False and unknown is false: a calm node or a full pod alone makes the node rule false."""
    return lost in ("node", "pod") and case is not PRESSED_NODE


def test_an_inconclusive_diagnosis_names_the_probe_and_escalates() -> None:
    got = PAGE.diagnose(evidence(missing=("series",)))
    assert (got.name, got.disposition, got.confidence) == ("inconclusive", "escalate", 0)
    assert "series" in got.because
    assert "no answer" in got.because


def test_every_rule_is_told_with_what_it_read() -> None:
    lines = {line.name: line for line in PAGE.diagnose(evidence()).considered}
    assert [line.held for line in lines.values()] == [False, False, False, False, True]
    assert lines["undersized_limit"].reads == ("series",)
    assert "85 %" in lines["undersized_limit"].because


def test_a_missing_supporting_fact_takes_fifteen_hundredths() -> None:
    assert PAGE.diagnose(evidence()).confidence == 84
    got = PAGE.diagnose(evidence(missing=("deploy",)))
    assert (got.name, got.confidence) == ("undersized_limit", 69)
    assert got.confidence < CONFIDENCE_FLOOR


def test_a_source_that_is_not_configured_takes_nothing() -> None:
    assert PAGE.diagnose(evidence(deploy=None)).confidence == 84


@pytest.mark.parametrize(("age", "confidence"), [(timedelta(minutes=5), 84), (timedelta(minutes=5, seconds=1), 69)])
def test_old_evidence_takes_fifteen_hundredths(age: timedelta, confidence: int) -> None:
    assert PAGE.diagnose(evidence(age=age)).confidence == confidence


def test_a_later_rule_that_holds_too_takes_nothing_but_is_shown() -> None:
    got = PAGE.diagnose(evidence(**BIG_HEAP))
    assert got.confidence == 93
    assert next(line for line in got.considered if line.name == "undersized_limit").held is True


def test_false_and_unknown_is_false_in_either_order() -> None:
    e = evidence(missing=("series",), pod=Pod(usage=0.9))
    low, traffic = OomEvidence.pod_is_well_within_limit, OomEvidence.follows_traffic
    assert truth_of(all_of(low, traffic), e).value is False
    assert truth_of(all_of(traffic, low), e).value is False
    assert truth_of(any_of(traffic, not_(low)), e).value is True
    assert truth_of(any_of(not_(low), traffic), e).value is True
    assert truth_of(not_(traffic), e).value is None


def test_reading_a_lost_fact_raises_not_known() -> None:
    with pytest.raises(NotKnown, match="series: timeout: no answer"):
        evidence(missing=("series",)).follows_traffic()


def test_a_bug_in_a_rule_is_not_taken_for_unknown() -> None:
    with pytest.raises(AttributeError):
        truth_of(lambda e: e.pod.no_such_thing, evidence())


@given(st.sampled_from(CASES), st.sets(st.sampled_from(PROBES)))
def test_the_same_evidence_gives_the_same_diagnosis(case: dict[str, Any], lost: set[str]) -> None:
    first, again = (PAGE.diagnose(evidence(**case, missing=tuple(lost))) for _ in range(2))
    assert first == again
