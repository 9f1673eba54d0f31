"""The page on application errors: each guard with its twin."""

from __future__ import annotations

from dataclasses import replace

from byteport.model.facts.application import WorkloadScale
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from tests.pages.application import DEPLOYMENT, SLUG
from tests.pages.test_application_error import OOM, started
from tests.sentry_server import raised


def planned(desk) -> str:
    """A rollback up to its frozen plan, nothing done yet."""
    desk.correlated()
    incident = desk.take()
    assert desk.run(incident, until=Phase.ACT, deliver=False).plan.steps
    return incident


def planned_scale_up(desk) -> str:
    desk.sentry.exceptions = [raised(*OOM)]
    desk.manager.does = desk.calm
    incident = desk.take()
    assert desk.run(incident, until=Phase.ACT, deliver=False).plan.steps
    return incident


def went_well(desk, incident) -> None:
    assert desk.run(incident, most=400).ending == "resolved"
    assert len(started(desk)) == 1


def was_refused(desk, incident, guard) -> None:
    ended = desk.run(incident, most=400)
    assert guard in desk.refusals(ended)
    assert started(desk) == []


def test_application_error__rollback_opt_in(desk):
    incident = planned(desk)
    desk.options(rollbackEnabled=False)
    was_refused(desk, incident, "rollback_opt_in")


def test_application_error__rollback_opt_in__allowed(desk):
    went_well(desk, planned(desk))


def test_application_error__scale_opt_in(desk):
    incident = planned_scale_up(desk)
    desk.options(scaleUpEnabled=False)
    was_refused(desk, incident, "scale_opt_in")


def test_application_error__scale_opt_in__allowed(desk):
    went_well(desk, planned_scale_up(desk))


def test_application_error__deploy_window(desk):
    """Approved when the deploy lies too far back to be blamed: nothing is run, and the errors are not forgotten."""
    desk.correlated()
    incident = desk.take(Mode.APPROVE)
    assert desk.run(incident).word == "awaiting_approval"
    desk.minutes_pass(25)
    desk.ledger.command(incident, "approve", "ada", "looks right")
    ended = desk.run(incident, most=400)
    assert (ended.phase, ended.diagnosis.name, started(desk)) == (Phase.ESCALATE, "unknown", [])


def test_a_deploy_that_is_too_old_by_the_time_of_acting_is_not_rolled_back(desk):
    incident = planned(desk)
    desk.minutes_pass(25)
    ended = desk.run(incident, most=400)
    assert (ended.phase, started(desk)) == (Phase.ESCALATE, [])
    assert "deploy_correlation is no longer so, and it is not well: unknown by now" in ended.reason


def test_errors_that_have_stopped_by_the_time_of_acting_are_over(desk):
    incident = planned(desk)
    desk.minutes_pass(25)
    desk.calm()
    ended = desk.run(incident, most=400)
    assert (ended.ending, started(desk)) == ("recovered", [])


def test_application_error__deploy_window__allowed(desk):
    desk.sentry.deploy("shop@2.0.0", 28)
    desk.manager.does = desk.calm
    went_well(desk, desk.take())


def test_application_error__dry_run(desk):
    desk.correlated()
    incident = desk.treat(Mode.DRY_RUN)
    assert (incident.ending, started(desk)) == ("rehearsed", [])
    assert incident.diagnosis.name == "deploy_correlation"


def test_application_error__dry_run__allowed(desk):
    went_well(desk, planned(desk))


def test_application_error__structured_reason(desk):
    incident = planned(desk)
    desk.sentry.event_count = 0
    desk.minutes_pass(1)
    was_refused(desk, incident, "structured_reason")


def test_application_error__structured_reason__allowed(desk):
    went_well(desk, planned(desk))


def test_application_error__app_action_rate(desk):
    """Two issues of one project within the hour: the second is for people, whatever it is."""
    went_well(desk, planned(desk))
    desk.sentry.issue_id = "1170820243"
    desk.sentry.now_rate, desk.sentry.exceptions = 60.0, [raised(*OOM)]
    desk.sentry.deploys = []
    ended = desk.treat()
    assert "app_action_rate" in desk.refusals(ended)
    assert len(started(desk)) == 1


def test_application_error__app_action_rate__allowed(desk):
    went_well(desk, planned(desk))
    desk.an_hour_passes()
    desk.sentry.issue_id = "1170820243"
    desk.sentry.now_rate, desk.sentry.exceptions = 60.0, [raised(*OOM)]
    desk.sentry.deploys = []
    assert desk.treat().ending == "resolved"
    assert len(started(desk)) == 2


def test_application_error__deployment_rollback_rate(desk):
    """A rollback of the Deployment by any runbook counts."""
    incident = planned(desk)
    desk.spend(f"deployment_rollback:{DEPLOYMENT}", 1)
    was_refused(desk, incident, "deployment_rollback_rate")


def test_application_error__deployment_rollback_rate__allowed(desk):
    desk.spend("deployment_rollback:prod/shop/web", 1)
    went_well(desk, planned(desk))


def test_application_error__explicit_revision(desk):
    incident = planned(desk)
    desk.options(rollbackRevision="")
    was_refused(desk, incident, "explicit_revision")


def test_application_error__explicit_revision__allowed(desk):
    went_well(desk, planned(desk))


def test_application_error__command_project(desk):
    incident = planned(desk)
    desk.options(project="billing")
    was_refused(desk, incident, "command_project")


def test_application_error__command_project__allowed(desk):
    went_well(desk, planned(desk))


def test_application_error__error_spike(desk):
    incident = planned(desk)
    desk.minutes_pass(1)
    desk.calm()
    was_refused(desk, incident, "error_spike")


def test_application_error__error_spike__allowed(desk):
    """Once the command has begun the errors may end: that is what it is for."""
    went_well(desk, planned(desk))


def test_application_error__scales_up(desk):
    incident = planned_scale_up(desk)
    desk.minutes_pass(1)
    desk.metrics.workload = WorkloadScale(workload=DEPLOYMENT, replicas=9)
    was_refused(desk, incident, "scales_up")


def test_application_error__scales_up__allowed(desk):
    went_well(desk, planned_scale_up(desk))


def test_application_error__no_known_leak(desk):
    incident = planned_scale_up(desk)
    desk.minutes_pass(1)
    desk.remember("oomkilled_memory_pressure", "genuine_memory_leak", f"deployment:{DEPLOYMENT}")
    was_refused(desk, incident, "no_known_leak")


def test_application_error__no_known_leak__allowed(desk):
    desk.remember("oomkilled_memory_pressure", "genuine_memory_leak", "deployment:prod/shop/web")
    went_well(desk, planned_scale_up(desk))


def test_application_error__confidence_floor(desk):
    desk.correlated()
    desk.policy = replace(desk.policy, floors={SLUG: 81})
    ended = desk.treat()
    assert (ended.phase, started(desk)) == (Phase.ESCALATE, [])
    assert "below the floor 0.81" in ended.reason


def test_application_error__confidence_floor__allowed(desk):
    desk.policy = replace(desk.policy, floors={SLUG: 80})
    went_well(desk, planned(desk))
