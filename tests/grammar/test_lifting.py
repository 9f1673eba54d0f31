"""What says no says also what would lift it, so that nobody has to guess it afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byteport.grammar.guard import Facts
from byteport.grammar.guards import Allowlist, Budget, Ceiling, Members, Never, OptIn, Requires, SkipIf
from byteport.grammar.truth import all_of, any_of, not_, truth_of
from byteport.grammar.verdict import Claim, Grant, Verdict
from byteport.model.signal import Mode
from byteport.model.units import hours, minutes
from tests.grammar.conftest import NOW, evidence
from tests.grammar.oom_facts import Pod, Series
from tests.grammar.oom_page import PAGE, OomEvidence
from tests.ward.pages import Pulse, Touch

LATER = NOW + timedelta(seconds=250)
PULSE = Pulse(name="v1")
WITHIN, TRAFFIC, LEVELS = (
    OomEvidence.pod_is_well_within_limit,
    OomEvidence.follows_traffic,
    OomEvidence.plateaus_near_limit,
)


def facts(**more: Any) -> Facts:
    given = {"evidence": evidence(), "runbook": "ward_one", "incident": "inc-1", "now": NOW, "mode": Mode.LIVE}
    return Facts(**{**given, **more})


# -- conditions ------------------------------------------------------------------------------------------------------
def test_a_condition_that_does_not_hold_is_what_is_lacking() -> None:
    assert truth_of(TRAFFIC, evidence()).lacks == ("RSS goes up and down with requests per second",)
    assert truth_of(LEVELS, evidence()).lacks == ()


def test_of_all_it_lacks_every_part_that_does_not_hold_and_of_any_the_fewest() -> None:
    e = evidence(series=Series(plateau=0.2), pod=Pod(usage=0.5))
    within, traffic, levels = WITHIN, TRAFFIC, LEVELS
    assert len(truth_of(all_of(within, traffic, levels), e).lacks) == 2
    assert len(truth_of(any_of(all_of(traffic, levels), traffic), e).lacks) == 1
    assert truth_of(not_(within), e).lacks == ("not (The pod uses less than 70 % of its limit)",)


def test_an_unknown_part_is_lacking_too() -> None:
    assert truth_of(TRAFFIC, evidence(missing=("series",))).lacks == ("RSS goes up and down with requests per second",)


def test_every_rule_is_told_with_what_it_lacked_and_what_it_would_have_done() -> None:
    lines = {line.name: line for line in PAGE.diagnose(evidence()).considered}
    assert lines["undersized_limit"].lacks == ()
    assert lines["undersized_limit"].disposition == "act"
    assert lines["genuine_memory_leak"].lacks != ()


# -- guards ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("guard", "more", "lifts"),
    [
        (
            OptIn(name="in", key="byteport.io/auto-remediate", word="valve"),
            {},
            "once the target is opted in with byteport.io/auto-remediate: valve",
        ),
        (OptIn(name="in", key="k"), {"annotations": None}, "once the target's annotations can be read"),
        (SkipIf(name="skip", key="k"), {"annotations": {"k": "true"}}, "once k is taken off the target"),
        (Allowlist(name="a", applies=lambda _a: True, option="names"), {}, "once valve:v1 is on the allowlist names"),
        (Requires(name="r", condition=TRAFFIC), {}, "once this holds: RSS goes up and down with requests per second"),
        (
            Requires(name="r", condition=TRAFFIC),
            {"evidence": evidence(missing=("series",))},
            "once series answers (timeout: no answer)",
        ),
        (Ceiling(name="c", field="turn", at_most=lambda _e: 0), {}, "with turn at most 0 instead of 1"),
        (Never(name="n", verbs=("KILL",)), {}, ""),
    ],
)
def test_a_guard_says_what_would_lift_it(guard: Any, more: dict[str, Any], lifts: str) -> None:
    action = PULSE if not isinstance(guard, Never) else type("Kill", (Pulse,), {"verbs": ("KILL",)})(name="v1")
    verdict = guard.check(action, facts(**more))
    assert not verdict.allowed
    assert verdict.lifts == lifts


def test_a_batch_of_which_none_may_be_touched_says_so() -> None:
    guard = Members(name="spared", forbidden=lambda m, _f: f"{m} is spared", members="members")
    verdict = guard.check(Touch(name="v1", members=(1, 2)), facts())
    assert verdict.lifts == "once one of the 2 may be touched"


def test_what_allows_shows_its_figures_too() -> None:
    budget = Budget(name="b", limit=5, per=hours(1), option="tight").check(PULSE, facts(options={"tight": 3}))
    ceiling = Ceiling(name="c", field="turn", at_most=lambda _e: 4).check(PULSE, facts())
    opted = OptIn(name="in", key="k", word="valve").check(PULSE, facts(annotations={"k": "disk, valve"}))
    assert (budget.limit, ceiling.limit, ceiling.current) == ("3", "4", "1")
    assert (opted.limit, opted.current) == ("k: valve", "disk, valve")


# -- budgets ---------------------------------------------------------------------------------------------------------
def refused(claim: Claim, used: int, frees_at: datetime | None) -> Verdict:
    return Grant(key="i1", granted=False, refused_by=claim, used=used, frees_at=frees_at).refusal


def test_a_full_window_says_which_counter_frees_and_when() -> None:
    verdict = refused(Claim.window("turns:v1", limit=1, per=minutes(10), guard="turns"), 1, LATER)
    assert (verdict.counter, verdict.lifts, verdict.frees_at) == ("turns:v1", "when turns:v1 frees", LATER)


def test_more_at_once_than_ever_fits_says_how_many_would() -> None:
    verdict = refused(Claim.window("turns:v1", limit=3, per=minutes(10), amount=5, guard="turns"), 0, None)
    assert verdict.lifts == "with at most 3 at once instead of 5"


def test_what_is_for_ever_is_lifted_by_nothing() -> None:
    verdict = refused(Claim(key="per:inc-1", limit=1, window_seconds=0, guard="turns"), 1, None)
    assert (verdict.lifts, verdict.counter) == ("", "per:inc-1")


def test_verdicts_of_an_older_journal_are_read() -> None:
    assert Verdict.model_validate({"guard": "g", "kind": "k", "allowed": False}).lifts == ""
    assert replace(facts(), now=datetime.now(UTC)).resumes == ""
