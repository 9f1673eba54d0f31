"""The page on failed deploy workflows: treated once for good, and told as its contract lists."""

from __future__ import annotations

from byteport.records.incident import Phase
from byteport.runbooks.deploys.deploy_failure import RUNBOOK
from tests.github_server import REPOSITORY
from tests.pages.pipeline import HELM, dispatched
from tests.ward.world import race


def test_a_run_is_treated_once_for_good_and_its_second_attempt_anew(pipeline):
    pipeline.good()
    run = pipeline.fail()
    first = pipeline.treat(run)
    again = pipeline.engine().take(pipeline.signal_of(run).with_(source="github", event_id="by another way"))
    assert (again.incident, again.duplicate) == (first.id, True)
    pipeline.an_hour_passes()
    second = pipeline.github.add_run(**{**{k: run[k] for k in ("id", "workflow_id")}, "run_attempt": 2})
    pipeline.github.add_job(second, HELM, steps=[("helm upgrade", "failure")])
    assert pipeline.treat(second).id != first.id
    assert dispatched(pipeline) == 2


def test_many_who_tell_of_one_run_at_once_open_one_incident(pipeline):
    pipeline.good()
    signal = pipeline.signal_of(pipeline.fail())
    answers = race([lambda n=n: pipeline.engine().take(signal.with_(event_id=f"e{n}")) for n in range(6)])
    assert len({answer.incident for answer in answers}) == 1
    assert len(pipeline.ledger.listing()) == 1


def test_people_are_told_what_the_contract_lists(pipeline):
    pipeline.good()
    pipeline.options(rollbackEnabled=False)
    run = pipeline.fail()
    incident = pipeline.treat(run)
    assert incident.phase is Phase.ESCALATE
    (sent,) = [one for one in pipeline.notebook.sent if one.message.channel == "postmark"]
    fields, bundle = sent.message.fields, sent.message.bundle
    assert fields == {
        "workflow": "Deploy", "run": f"https://github.example/{REPOSITORY}/actions/runs/{run['id']}", "branch": "main",
        "failure": "deploy_step_failure", "author": fields["author"], "action": "nothing was written",
        "link": f"/incidents/{incident.id}",
    }  # fmt: skip
    assert set(RUNBOOK.escalate.content) <= bundle.keys()
    assert (bundle["previous_success_exists"], bundle["rollback_triggered"]) == (True, False)
    assert bundle["failed_jobs"] == [{"job": "deploy", "steps": ["helm upgrade"]}]
    view, rollback = bundle["manual_commands"]
    assert view == f"gh run view {run['id']} --repo {REPOSITORY} --log-failed"
    assert f"-f failed_run_id={run['id']} -f target_sha={'b' * 40}" in rollback
    postmortem = pipeline.ledger.command(incident.id, "close", "ada", "seen")
    assert pipeline.run(postmortem.id).phase is Phase.CLOSED
    told = pipeline.ledger.postmortem(incident.id)
    assert told is not None
    assert "Find out why the release does not come up" in told.markdown


def test_the_postmortem_has_each_action_with_what_the_guards_said(pipeline):
    pipeline.good()
    incident = pipeline.treat(pipeline.fail())
    told = pipeline.ledger.postmortem(incident.id)
    assert told is not None
    (action,) = told.record["actions"]
    assert (action["move"], action["how"]) == ("dispatch", "done")
    assert "workflow_rollback_rate: allowed" in " ".join(action["verdicts"])
    assert any(verdict.startswith("rollback_opt_in: allowed") for verdict in action["verdicts"])
    times = told.record["times"]
    assert all(times[name] is not None for name in ("seconds_to_detect", "seconds_to_act", "seconds_to_end"))


def test_a_second_telling_within_the_day_is_suppressed(pipeline):
    assert (RUNBOOK.escalate.once_per.total_seconds(), RUNBOOK.escalate.on_duplicate) == (86_400, "suppress")
    incident = pipeline.treat(pipeline.fail("nothing known\n"))
    pipeline.engine().take(pipeline.signal_of(pipeline.github.runs[0]).with_(event_id="again"))
    pipeline.run(incident.id)
    assert len([one for one in pipeline.notebook.sent if one.message.channel == "postmark"]) == 1
