"""The page on failed deploy workflows: each guard with its twin, before a GitHub that behaves."""

from __future__ import annotations

from dataclasses import replace

from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.runbooks.deploys.deploy_failure import RUNBOOK
from tests.http_server import Reply
from tests.pages.pipeline import dispatched


def planned(pipeline, **more) -> str:
    """Up to the frozen plan, nothing done yet."""
    pipeline.good()
    incident = pipeline.take(pipeline.fail(**more))
    assert pipeline.run(incident, until=Phase.ACT, deliver=False).plan is not None
    return incident


def went_well(pipeline, incident) -> None:
    assert pipeline.run(incident).ending == "resolved"
    assert dispatched(pipeline) == 1


def was_refused(pipeline, incident, guard) -> None:
    ended = pipeline.run(incident)
    assert guard in pipeline.refusals(ended)
    assert dispatched(pipeline) == 0


def test_deploy_failure__rollback_opt_in(pipeline):
    incident = planned(pipeline)
    pipeline.options(rollbackEnabled=False)
    was_refused(pipeline, incident, "rollback_opt_in")


def test_deploy_failure__rollback_opt_in__allowed(pipeline):
    went_well(pipeline, planned(pipeline))


def test_rollback_that_is_not_enabled_is_not_even_planned(pipeline):
    pipeline.good()
    pipeline.options(rollbackEnabled=False)
    incident = pipeline.treat(pipeline.fail())
    assert "rollback is not enabled" in incident.reason
    assert dispatched(pipeline) == 0


def test_deploy_failure__token_scope(pipeline):
    """A classic token that may change workflows is not used at all, neither to look nor to act."""
    pipeline.good()
    pipeline.github.scopes = "repo, workflow"
    incident = pipeline.treat(pipeline.fail())
    assert (incident.phase, dispatched(pipeline)) == (Phase.ESCALATE, 0)
    assert "scope `workflow`" in incident.diagnosis.because
    guard = next(guard for guard in RUNBOOK.guards_of("dispatch") if guard.name == "token_scope")
    assert guard.reads == ("jobs",)


def test_deploy_failure__token_scope__allowed(pipeline):
    pipeline.github.scopes = "repo"
    went_well(pipeline, planned(pipeline))


def test_deploy_failure__workflow_allowlist(pipeline):
    incident = planned(pipeline)
    pipeline.options(deployWorkflowAllowlist="/nothing of ours/")
    was_refused(pipeline, incident, "workflow_allowlist")


def test_deploy_failure__workflow_allowlist__allowed(pipeline):
    pipeline.options(deployWorkflowAllowlist="/^deploy$/i")
    went_well(pipeline, planned(pipeline))


def test_a_workflow_that_deploys_nothing_is_left_alone_and_nobody_is_told(pipeline):
    pipeline.good()
    incident = pipeline.treat(pipeline.fail(name="Nightly tests", path=".github/workflows/nightly.yml"))
    assert (incident.ending, incident.diagnosis.name) == ("recovered", "no_deploy")
    assert pipeline.notebook.sent == []
    assert dispatched(pipeline) == 0


def test_deploy_failure__run_dedup(pipeline):
    """Also where the incident's own memory is gone: the spend stays for good."""
    incident = planned(pipeline)
    went_well(pipeline, incident)
    pipeline.ledger.run(lambda cursor: cursor.execute("delete from byteport.incidents where id = %s", [incident]))
    pipeline.an_hour_passes()
    run = next(run for run in pipeline.github.runs if run["conclusion"] == "failure")
    again = pipeline.run(pipeline.take(run, event_id="told anew"))
    assert "run_dedup" in pipeline.refusals(again)
    assert dispatched(pipeline) == 1


def test_deploy_failure__run_dedup__allowed(pipeline):
    went_well(pipeline, planned(pipeline))


def test_deploy_failure__workflow_rollback_rate(pipeline):
    went_well(pipeline, planned(pipeline))
    second = pipeline.treat(pipeline.fail())
    assert "workflow_rollback_rate" in pipeline.refusals(second)
    assert (second.phase, dispatched(pipeline)) == (Phase.ESCALATE, 1)


def test_deploy_failure__workflow_rollback_rate__allowed(pipeline):
    went_well(pipeline, planned(pipeline))
    pipeline.an_hour_passes()
    assert pipeline.treat(pipeline.fail()).ending == "resolved"
    assert dispatched(pipeline) == 2


def test_deploy_failure__dry_run(pipeline):
    pipeline.good()
    assert pipeline.treat(pipeline.fail(), mode=Mode.DRY_RUN).ending == "rehearsed"
    assert dispatched(pipeline) == 0


def test_deploy_failure__dry_run__allowed(pipeline):
    went_well(pipeline, planned(pipeline))


def test_deploy_failure__confidence_floor(pipeline):
    pipeline.good()
    pipeline.policy = replace(pipeline.policy, floor=90)
    incident = pipeline.treat(pipeline.fail())
    assert "confidence_floor" in pipeline.refusals(incident)
    assert dispatched(pipeline) == 0


def test_deploy_failure__confidence_floor__allowed(pipeline):
    pipeline.policy = replace(pipeline.policy, floor=85)
    went_well(pipeline, planned(pipeline))


def test_a_rate_limit_of_github_is_waited_for_by_nobody_and_told(pipeline):
    pipeline.good()
    run = pipeline.fail()
    incident = pipeline.take(run)
    limited = Reply(
        403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"}
    )
    pipeline.github.http.instead += [limited] * 12
    ended = pipeline.run(incident)
    assert (ended.phase, ended.diagnosis.name, dispatched(pipeline)) == (Phase.ESCALATE, "inconclusive", 0)
