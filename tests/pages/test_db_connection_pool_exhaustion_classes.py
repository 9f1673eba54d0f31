"""The page on connection pool exhaustion, pure: its classes, their order and confidence, and what is missing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.model.facts.database import ApplicationUse, WaitEvents
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK
from tests.pages.pool import (
    CASES,
    FIELDS,
    NEEDED,
    NOW,
    ORDER,
    breakdown,
    deploy,
    diagnosis,
    evidence,
    idle,
    merged,
    plan_of,
    pooler,
    queue,
    standing,
    statement,
)


@pytest.mark.parametrize("name", CASES)
def test_each_class_is_told_by_its_own_evidence(name):
    assert diagnosis(**CASES[name]).name == name


def test_the_confidences_are_the_contracts():
    told = {name: diagnosis(**CASES[name]).confidence for name in CASES}
    assert told == {
        "idle_in_tx_backlog": 91, "leak_after_deploy": 88, "long_running_query": 85, "runaway_cron_fanout": 82,
        "missing_pgbouncer": 80, "undersized_pool": 75, "unknown": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "facts",
    [
        {"state_breakdown": breakdown(idle_sessions=idle(2))},
        {"state_breakdown": breakdown(idle_sessions=idle(9, state_seconds=300.0))},
        {"state_breakdown": breakdown(clients=84)},
        {"deploy_correlation": deploy()},
        {"state_breakdown": breakdown(standing=standing(8, 4, 1))},
        {"state_breakdown": breakdown(standing=standing(8, 4, 1)), "deploy_correlation": deploy(age_seconds=3601)},
        {"state_breakdown": breakdown(standing=standing(8, 8, 1)), "deploy_correlation": deploy()},
        {"state_breakdown": breakdown(standing=standing(8, 1, 1)), "deploy_correlation": deploy()},
        {"state_breakdown": breakdown(standing=standing(3, 2, 1)), "deploy_correlation": deploy()},
        {"state_breakdown": breakdown(idle_sessions=idle(8, state_seconds=99.0), standing=standing(8, 4, 1)),
         "deploy_correlation": deploy(applications=("other",))},
        {"wait_events": WaitEvents(queries=(statement(1, 599), statement(2, 300)))},
        {"state_breakdown": breakdown(applications=(ApplicationUse(name="nightly", connections=14),))},
        {"state_breakdown": breakdown(applications=(ApplicationUse(name="PgBouncer", connections=50),))},
        {"state_breakdown": breakdown(applications=(ApplicationUse(name="batch 7", connections=50),)),
         "options": {"allowlist": ["batch"]}},
        {"pgbouncer_pools": queue(seconds=29)},
        {"pgbouncer_pools": queue(waiting=0)},
        {"pgbouncer_pools": pooler()},
    ],
)  # fmt: skip
def test_just_short_of_a_class_is_unknown_and_changes_nothing(facts):
    told = diagnosis(**facts)
    assert (told.name, told.disposition) == ("unknown", "escalate")
    assert plan_of(**facts).steps == ()


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"state_breakdown": breakdown(clients=85)}, "undersized_pool"),
        ({"wait_events": WaitEvents(queries=(statement(1, 601),))}, "long_running_query"),
        ({"state_breakdown": breakdown(idle_sessions=idle(3, state_seconds=300.1))}, "idle_in_tx_backlog"),
        ({"state_breakdown": breakdown(idle_sessions=idle(3, state="idle in transaction (aborted)"))}, "idle_in_tx_backlog"),
        ({"state_breakdown": breakdown(idle_sessions=idle(8, state_seconds=99.0), standing=standing(8, 4, 1)),
          "deploy_correlation": deploy(age_seconds=3600, applications=("web",))}, "leak_after_deploy"),
    ],
)  # fmt: skip
def test_at_its_threshold_a_class_holds(facts, name):
    assert diagnosis(**facts).name == name


@given(st.sets(st.sampled_from(ORDER), min_size=1))
def test_of_several_classes_the_first_in_the_contracts_order_wins(names):
    told = diagnosis(**merged(sorted(names)))
    assert told.name == min(names, key=ORDER.index)
    assert {line.name for line in told.considered} == set(ORDER)


@given(st.sampled_from(list(CASES)), st.sets(st.sampled_from(FIELDS), max_size=4))
def test_a_failed_probe_never_makes_another_class_win(name, lost):
    got = diagnosis(**CASES[name], missing=tuple(lost))
    assert got.name in (name, "inconclusive")
    if lost & NEEDED[name]:
        assert got.name == "inconclusive"
        assert got.disposition == "escalate"


@given(st.sets(st.sampled_from(ORDER)), st.sets(st.sampled_from(FIELDS)), st.integers(0, 30))
def test_nothing_is_ever_planned_below_the_floor_or_from_the_unknown(names, lost, age_minutes):
    e = evidence(**merged(sorted(names)), missing=tuple(lost))
    aged = type(e)(**{**{n: getattr(e, n) for n in ("target", "facts", "failures", "looked_at", "options")},
                      "taken_at": dict.fromkeys(FIELDS, NOW - timedelta(minutes=age_minutes))})  # fmt: skip
    told = RUNBOOK.diagnose(aged)
    if told.conclusive:
        assert told.confidence == {r.name: r.hundredths for r in RUNBOOK.rules}[told.name] - 15 * len(told.deductions)
        assert (age_minutes > 5) == any("older than 5 min" in why for why in told.deductions)
    else:
        assert told.disposition == "escalate"
        assert RUNBOOK.plan(told, aged).steps == ()


def test_without_the_wait_events_the_backlog_is_less_certain_and_still_told():
    told = diagnosis(**CASES["idle_in_tx_backlog"], missing=("wait_events",))
    assert (told.name, told.confidence) == ("idle_in_tx_backlog", 76)


def test_the_same_evidence_gives_the_same_diagnosis_and_plan():
    e = evidence(**CASES["idle_in_tx_backlog"])
    assert RUNBOOK.diagnose(e) == RUNBOOK.diagnose(e)
    assert RUNBOOK.plan(RUNBOOK.diagnose(e), e).digest == RUNBOOK.plan(RUNBOOK.diagnose(e), e).digest
