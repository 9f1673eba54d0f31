"""The page on connection pool exhaustion, pure: its classes and their order, its plans, its checks, what it tells."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.actions.postgres import EndIdleSessions
from byteport.grammar.action import Effect
from byteport.grammar.plan import Do, EndIf, HandOver, Look, Pause, Plan
from byteport.grammar.reading import listing
from byteport.grammar.story import Performed, Story
from byteport.model.facts.database import ApplicationUse, Pool, StateBreakdown, WaitEvents
from byteport.model.facts.deploys import ErrorRate
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK
from byteport.runbooks.database.sessions import ALWAYS_SPARED
from tests.pages.pool import (
    CASES,
    FIELDS,
    NEEDED,
    NOW,
    TARGET,
    breakdown,
    deploy,
    evidence,
    idle,
    pooler,
    queue,
    session,
    settled,
    standing,
    statement,
)

ORDER = [rule.name for rule in RUNBOOK.rules]


def diagnosis(**facts):
    return RUNBOOK.diagnose(evidence(**facts))


def plan_of(**facts) -> Plan:
    e = evidence(**facts)
    return RUNBOOK.plan(RUNBOOK.diagnose(e), e)


def shape(plan: Plan) -> list[str]:
    return [step.move if isinstance(step, Do) else step.step for step in plan.steps]


def ended(plan: Plan) -> list[int]:
    return [ref.pid for action in plan.actions for ref in getattr(action, "sessions", ())]


# ── classes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


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


def merged(names: list[str]) -> dict:
    """The evidence of several classes at once."""
    facts: dict = {}
    for name in names:
        for field, fact in CASES[name].items():
            known = facts.get(field)
            if isinstance(fact, StateBreakdown) and isinstance(known, StateBreakdown):
                fact = known.with_(  # noqa: PLW2901
                    clients=max(known.clients, fact.clients),
                    idle_sessions=(*known.idle_sessions, *fact.idle_sessions),
                    standing=known.standing or fact.standing,
                    applications=(*known.applications, *fact.applications),
                )
            facts[field] = fact
    return facts


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


# ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────────


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
    assert shape(plan) == ["end_idle", "pause", "look", "end_if", "end_idle", "pause", "look", "end_if", "end_idle"]
    assert [action.amount for action in plan.actions] == [20, 20, 10]
    assert plan.steps[1] == Pause(length=timedelta(seconds=61))
    assert plan.steps[2] == Look(fields=("state_breakdown",))
    assert plan.steps[3] == EndIf(check="under_threshold", end="verify")
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


# ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def passes(**facts):
    told = evidence(**facts)
    return {check.name.split(" ")[0]: check.passes(told) for check in RUNBOOK.verify}


def test_a_well_database_passes_and_what_is_not_configured_is_not_measured():
    assert passes() == {"utilization": True, "lock_waiters": True, "error": None, "no": None}


def test_each_check_fails_by_itself():
    assert not passes(state_breakdown=breakdown(clients=70))["utilization"]
    assert not passes(state_breakdown=breakdown(waiting=1))["lock_waiters"]
    assert not passes(error_rate=ErrorRate(now=0.13, usual=0.10))["error"]
    assert passes(error_rate=ErrorRate(now=0.12, usual=0.10))["error"]
    assert not passes(pgbouncer_pools=queue())["no"]
    assert passes(pgbouncer_pools=pooler())["no"]


@pytest.mark.parametrize(
    ("option", "clients", "under"), [(70, 69, True), (99, 70, False), (50, 50, False), (50, 49, True)]
)
def test_the_verification_threshold_can_only_be_lowered(option, clients, under):
    e = evidence(state_breakdown=breakdown(clients=clients), options={"verify_threshold_pct": option})
    assert e.under_threshold() is under


def test_it_is_verified_at_thirty_and_once_more_at_sixty_seconds():
    assert listing(RUNBOOK)["verify"]["schedule_seconds"] == [30.0, 60.0]


def test_a_rollout_has_settled_when_every_replica_is_new_and_ready():
    assert evidence(rollout=settled()).rollout_has_settled()
    assert not evidence(rollout=settled().with_(ready=2)).rollout_has_settled()
    assert not evidence().rollout_has_settled()


# ── what it tells ────────────────────────────────────────────────────────────────────────────────────────────────────


def told_story(reason: str = "") -> Story:
    before = evidence(**CASES["idle_in_tx_backlog"])
    after = evidence(state_breakdown=breakdown(clients=41, elsewhere=3, elsewhere_idle_in_transaction=1), first=before)
    (_, step), *_ = RUNBOOK.plan(RUNBOOK.diagnose(before), before).dos
    effect = Effect(note="end sessions idle in transaction: 5 ended", count=5, items=("pid 1", "pid 2"))
    done = Performed(move="end_idle", action=step.action, effect=effect, how="done", note=effect.note)
    return Story(
        evidence=after, diagnosis=RUNBOOK.diagnose(before), performed=(done,), reason=reason, link="http://x/1"
    )


def test_the_message_tells_ended_sessions_and_the_change_as_two_figures():
    assert RUNBOOK.escalate.summary(told_story()) == {
        "host_db": TARGET.key, "connections": "95 of 100 usable (95%)", "class": "idle_in_tx_backlog", "terminated": 5,
        "cancelled": 0, "utilization_after": "41.0%", "action": "end sessions idle in transaction: 5 ended",
        "link": "http://x/1",
    }  # fmt: skip


def test_the_bundle_has_what_the_contract_lists_and_fingerprints_only():
    bundle = RUNBOOK.escalate.bundle(told_story("kill_cap: 20 of 20 used"))
    for name in RUNBOOK.escalate.content:
        assert name in {*bundle, "signal", "classification", "confidence", "postmortem_markdown"}
    assert (bundle["utilization_before"], bundle["utilization_after"]) == ("95.0%", "41.0%")
    assert bundle["pids_terminated"] == ["pid 1", "pid 2"]
    assert bundle["pids_cancelled"] == []
    assert bundle["top5_query_fingerprints"] == ["5 x SELECT ?"]
    assert bundle["kill_cap_status"].endswith("hit: kill_cap: 20 of 20 used")
    assert bundle["last_deploy_sha"] == "no deploy source is configured, or it cannot be told"
    assert bundle["other_databases_of_the_server"] == "3 sessions, 1 idle in transaction: left alone"
    assert len(bundle["pg_stat_activity_snapshot"]) == 5
    assert json.dumps(bundle)


def test_the_bundle_can_be_told_whatever_is_missing():
    empty = Story(evidence=evidence(missing=FIELDS), diagnosis=None)
    assert RUNBOOK.escalate.bundle(empty)["utilization_after"] == "not known"
    assert RUNBOOK.escalate.summary(empty)["connections"] == "not known"
    assert len(RUNBOOK.escalate.manual(empty)) == 7
    assert "No cause was proven" in RUNBOOK.escalate.fix(empty)


def test_the_commands_carry_this_incidents_names():
    commands = RUNBOOK.escalate.manual(Story(evidence=evidence(**CASES["idle_in_tx_backlog"]), diagnosis=None))
    assert all(command.startswith("psql -h db1 -p 5433 -d shop -c") for command in commands[:5])
    assert commands[3].endswith('"SELECT pg_terminate_backend(1)"')
    assert commands[-1] == "psql -p 6432 pgbouncer -c 'RELOAD;'"


@pytest.mark.parametrize("name", ORDER)
def test_every_class_says_what_would_mend_it_for_good(name):
    e = evidence(**CASES[name])
    told = RUNBOOK.diagnose(e)
    fix = RUNBOOK.escalate.fix(Story(evidence=e, diagnosis=told))
    assert len(fix) > 40
    assert "No cause" not in fix
    assert told.because


def test_the_use_is_critical_when_no_slot_is_left():
    assert RUNBOOK.critical(evidence(state_breakdown=breakdown(clients=98)))
    assert not RUNBOOK.critical(evidence(state_breakdown=breakdown(clients=97)))
