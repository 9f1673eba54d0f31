"""The page on connection pool exhaustion, pure: what each class calls for, within its caps and room."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.actions.postgres import EndIdleSessions
from byteport.grammar.plan import Do, EndIf, HandOver, Look, Pause, Plan
from byteport.model.facts.database import ApplicationUse, Pool, WaitEvents
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK
from byteport.runbooks.database.sessions import ALWAYS_SPARED
from tests.pages.pool import (
    CASES,
    ORDER,
    breakdown,
    deploy,
    evidence,
    idle,
    merged,
    plan_of,
    pooler,
    queue,
    session,
    standing,
    statement,
)


def shape(plan: Plan) -> list[str]:
    return [step.move if isinstance(step, Do) else step.step for step in plan.steps]


def ended(plan: Plan) -> list[int]:
    return [ref.pid for action in plan.actions for ref in getattr(action, "sessions", ())]


def test_a_small_backlog_is_one_batch():
    plan = plan_of(**CASES["idle_in_tx_backlog"])
    assert shape(plan) == ["end_idle"]
    assert plan.end == "verify"
    (action,) = plan.actions
    assert isinstance(action, EndIdleSessions)
    assert (action.database, action.server, action.idle_for) == ("db1:5433/shop", "db1:5433", timedelta(seconds=300))
    assert set(ALWAYS_SPARED) <= set(action.spared)
    assert ended(plan) == [5, 4, 3, 2, 1]  # the longest idle first


def backlog(n: int, **changes):
    return {"state_breakdown": breakdown(clients=95, idle_sessions=idle(n, **changes))}


def test_a_large_backlog_is_a_batch_a_minute_until_use_is_below_the_threshold():
    plan = plan_of(**backlog(50))
    between = [
        "look",
        "end_if",
        "pause",
        "look",
        "end_if",
    ]  # enough may be enough at once; else it waits and looks again
    assert shape(plan) == ["end_idle", *between, "end_idle", *between, "end_idle"]
    assert [action.amount for action in plan.actions] == [20, 20, 10]
    look, enough, pause, *_ = plan.steps[1:]
    assert pause == Pause(length=timedelta(seconds=61))
    assert look == Look(fields=("state_breakdown",))
    assert enough == EndIf(check="under_threshold", end="verify")
    assert plan.end == "verify"


def test_past_sixty_the_rest_is_for_a_person():
    plan = plan_of(**backlog(75))
    assert sum(action.amount for action in plan.actions) == 60
    assert shape(plan)[-2:] == ["look", "end_if"]
    assert (plan.end, plan.reason) == ("escalate", "kill cap: 15 more sessions could be ended")


@given(st.integers(3, 100), st.integers(-5, 400))
def test_no_plan_ends_more_than_the_cap_in_a_minute_or_sixty_in_all(n, cap):
    plan = plan_of(**backlog(n), options={"kills_per_minute_cap": cap})
    allowed = max(0, min(20, cap))
    assert all(action.amount <= allowed for action in plan.actions)
    assert sum(action.amount for action in plan.actions) <= min(60, n)
    assert len(ended(plan)) == len(set(ended(plan)))
    batches = [n for n, step in enumerate(plan.steps) if isinstance(step, Do)]
    assert all(isinstance(plan.steps[at - 3], Pause) for at in batches[1:])


def test_who_blocks_others_is_ended_first():
    told = idle(4)
    blocker = session(99, state_seconds=301.0, has_written=True, blocks_others=True)
    assert ended(plan_of(state_breakdown=breakdown(idle_sessions=(*told, blocker))))[0] == 99


@pytest.mark.parametrize(
    "changes",
    [
        {"superuser": True}, {"application": "pgbouncer"}, {"application": "pgAdmin 4 - DB:shop"}, {"user": "pgbouncer"},
        {"application": "admin-proxy"}, {"application": "pg_dump"}, {"has_written": True},
        {"address": "10.9.0.7"}, {"user": "payments"},
    ],
)  # fmt: skip
def test_a_protected_session_is_in_no_plan(changes):
    options = {"allowlist": ["payments", "10.9.0.0/16"]}
    plan = plan_of(state_breakdown=breakdown(idle_sessions=(*idle(3), session(77, **changes))), options=options)
    assert ended(plan) == [3, 2, 1]
    only = plan_of(state_breakdown=breakdown(idle_sessions=idle(3, **changes)), options=options)
    assert (only.steps, only.end) == ((), "escalate")


def test_a_session_without_a_name_is_not_protected_by_that():
    plan = plan_of(state_breakdown=breakdown(idle_sessions=idle(3, application="", user="", address="")))
    assert len(ended(plan)) == 3


def test_endless_statements_are_cancelled_and_only_the_same_ones_are_ended_a_minute_later():
    plan = plan_of(wait_events=WaitEvents(queries=(statement(1, 700), statement(2, 400), statement(3, 20))))
    assert shape(plan) == ["cancel", "pause", "look", "end_if", "terminate"]
    cancel, terminate = plan.actions
    assert cancel.sessions == terminate.sessions
    assert [ref.pid for ref in cancel.sessions] == [1, 2]
    assert all(ref.query_start is not None for ref in cancel.sessions)
    assert plan.steps[1] == Pause(length=timedelta(seconds=60))
    assert plan.steps[3] == EndIf(check="statements_have_ended", end="verify")


def test_statements_that_write_and_block_nobody_are_left_to_a_person():
    plan = plan_of(wait_events=WaitEvents(queries=(statement(1, 700, has_written=True),)))
    assert (plan.steps, plan.end) == ((), "escalate")


def test_whether_the_cancelled_statements_have_ended_is_told_against_the_first_look():
    first = evidence(wait_events=WaitEvents(queries=(statement(1, 700), statement(2, 700, superuser=True))))
    same = evidence(wait_events=WaitEvents(queries=(statement(1, 700),)), first=first)
    other = evidence(wait_events=WaitEvents(queries=(statement(1, 5), statement(2, 700, superuser=True))), first=first)
    assert not same.statements_have_ended()
    assert other.statements_have_ended()


def test_of_a_fanned_out_application_only_its_own_idle_sessions_are_ended():
    told = breakdown(
        applications=(ApplicationUse(name="nightly", connections=40),),
        idle_sessions=(*idle(1, state_seconds=90.0), *idle(2, 10, application="nightly", state_seconds=90.0),
                       session(50, application="nightly", state_seconds=59.0)),
    )  # fmt: skip
    plan = plan_of(state_breakdown=told)
    assert sorted(ended(plan)) == [10, 11]
    assert next(iter(plan.actions)).idle_for == timedelta(seconds=60)


def test_a_fanned_out_application_without_idle_sessions_is_recycled_by_a_person():
    plan = plan_of(state_breakdown=breakdown(applications=(ApplicationUse(name="nightly", connections=40),)))
    assert (plan.steps, plan.end, plan.reason) == ((), "escalate", "recycle nightly: none of its sessions may be ended")


def leak(**changes):
    told = breakdown(
        clients=95, idle_sessions=(*idle(2), *idle(7, 10, state_seconds=200.0)), standing=standing(9, 5, 2)
    )
    return {"state_breakdown": told, "deploy_correlation": deploy(**changes)}


def test_a_leaking_release_loses_its_old_sessions_and_is_then_restarted_without_surge():
    plan = plan_of(**leak())
    assert shape(plan) == ["end_idle", "restart"]
    assert sorted(ref.pid for ref in next(iter(plan.actions)).sessions) == [1, 2]
    restart = plan.steps[1]
    assert (restart.action.workload, restart.action.revision) == ("c1/shop/deployment/web", "7")
    assert (restart.undo.action.max_surge, restart.undo.when) == ("25%", "rollout_has_settled")
    assert restart.action.write_scope == "c1"


def test_a_release_that_never_surges_gets_nothing_back():
    assert plan_of(**leak(max_surge="0", max_unavailable="1")).steps[1].undo is None


def test_a_leaking_release_is_handed_over_where_a_rollback_is_live():
    plan = plan_of(**leak(rollback_live=True))
    assert shape(plan) == ["end_idle"]
    assert plan.end == HandOver(runbook="failed_deploy_auto_rollback", reason="abc1234 leaks")


def test_a_single_replica_is_never_restarted():
    plan = plan_of(**leak(replicas=1))
    assert shape(plan) == ["end_idle"]
    assert plan.end == "escalate"


@pytest.mark.parametrize("name", ["missing_pgbouncer", "undersized_pool"])
def test_a_pool_grows_by_a_quarter_where_there_is_room_and_the_file_is_opted_in(name):
    use = {"state_breakdown": breakdown(clients=40)} if name == "missing_pgbouncer" else {}
    plan = RUNBOOK.rules[ORDER.index(name)].then(evidence(**use, pgbouncer_pools=queue(file_opted_in=True)))
    assert shape(plan) == ["raise_pool"]
    (action,) = plan.actions
    assert (action.was, action.to) == (20, 25)


def test_without_an_opt_in_the_value_is_proposed_to_a_person():
    plan = plan_of(pgbouncer_pools=queue())
    assert (plan.steps, plan.end) == ((), "escalate")
    assert "default_pool_size = 25" in plan.reason


def test_without_headroom_a_pool_never_grows():
    plan = plan_of(state_breakdown=breakdown(clients=85), pgbouncer_pools=queue(file_opted_in=True))
    assert (plan.steps, plan.end) == ((), "escalate")
    assert "no headroom" in plan.reason


def test_a_pool_too_small_to_grow_by_a_quarter_is_for_a_person_who_hears_what_to_set():
    plan = plan_of(pgbouncer_pools=queue(default_pool_size=3, file_opted_in=True))
    assert (plan.steps, plan.end) == ((), "escalate")
    assert "a quarter more is no whole one: set 4 by hand" in plan.reason


def test_without_a_pooler_an_undersized_pool_is_for_a_person():
    assert plan_of(**CASES["undersized_pool"]).end == "escalate"


@given(
    st.integers(0, 120), st.integers(1, 200), st.integers(1, 100),
    st.lists(st.tuples(st.integers(1, 100), st.booleans()), max_size=4),
)  # fmt: skip
def test_no_plan_raises_a_pool_past_its_step_or_the_servers_headroom(clients, usable, size, others):
    pools = (
        Pool(database="shop", user="app", size=size, clients_waiting=3, longest_wait_seconds=60),
        *(
            Pool(database="x", user=f"u{n}", size=own if odd else size, own_size=odd)
            for n, (own, odd) in enumerate(others)
        ),
    )
    told = pooler(pools=pools, default_pool_size=size, file_opted_in=True)
    plan = plan_of(state_breakdown=breakdown(clients=clients, usable=usable), pgbouncer_pools=told)
    for action in plan.actions:
        assert size < action.to <= size * 1.25
        assert clients + told.slots_added_by(action.to) <= 0.8 * usable


@given(st.sets(st.sampled_from(ORDER), min_size=1), st.integers(0, 30))
def test_every_plan_is_one_the_page_allows(names, cap):
    plan = plan_of(**merged(sorted(names)), options={"kills_per_minute_cap": cap})
    assert all(step.move in RUNBOOK.by_move for _, step in plan.dos)
    assert plan.steps or plan.end == "escalate"
