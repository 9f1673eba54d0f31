"""The page on connection pool exhaustion, pure: how it knows that it helped, and what it tells people."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from byteport.grammar.action import Effect
from byteport.grammar.reading import listing
from byteport.grammar.story import Performed, Story
from byteport.model.facts.deploys import ErrorRate
from byteport.model.units import minutes
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK
from tests.pages.clinic import SERVER
from tests.pages.pool import (
    CASES,
    FIELDS,
    ORDER,
    TARGET,
    breakdown,
    evidence,
    pooler,
    queue,
    settled,
)


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
    assert (bundle["utilization_before"], bundle["utilization_after"]) == ("95.0%", "41.0%")
    assert bundle["pids_terminated"] == ["pid 1", "pid 2"]
    assert bundle["pids_cancelled"] == []
    assert bundle["top5_query_fingerprints"] == ["5 x SELECT ?"]
    assert (
        bundle["kill_cap_status"] == "5 signalled (at most 20 a minute, 60 an incident); hit: kill_cap: 20 of 20 used"
    )
    assert bundle["last_deploy_sha"] == "no deploy source is configured, or it cannot be told"
    assert bundle["other_databases_of_the_server"] == "3 sessions, 1 idle in transaction: left alone"
    assert len(bundle["pg_stat_activity_snapshot"]) == 5
    assert json.dumps(bundle)


def test_an_escalation_carries_all_that_the_contract_lists(clinic, backlog):
    clinic.spend(f"db_kills:{SERVER}", 20, minutes(1), 20)
    incident = clinic.treat()
    (message,) = [delivery.message for delivery in clinic.ledger.deliveries_of(incident.id)]
    always = {"diagnosis", "plan", "verdicts", "timeline", "manual_commands", "target"}
    assert always | set(RUNBOOK.escalate.content) <= message.bundle.keys()
    assert (message.bundle["classification"], message.bundle["confidence"]) == ("idle_in_tx_backlog", 0.91)
    assert "is with a person: kill_cap" in message.bundle["postmortem_markdown"]
    assert {verdict["guard"] for told in message.bundle["verdicts"] for verdict in told["verdicts"]} >= {"kill_cap"}


def test_what_a_cap_left_and_what_was_left_alone_is_told():
    story = told_story()
    (done,) = story.performed
    cut = replace(done, effect=done.effect.with_(count=3), left=2)
    told = RUNBOOK.escalate.bundle(replace(story, performed=(cut,)))["kill_cap_status"]
    caps = "(at most 20 a minute, 60 an incident)"
    assert told == f"3 signalled {caps}; 2 more could be ended and were left alone; hit: 2 were not let through"
    tight = replace(story.evidence, options={"kills_per_minute_cap": 5})
    assert "at most 5 a minute" in RUNBOOK.escalate.bundle(replace(story, evidence=tight))["kill_cap_status"]


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
