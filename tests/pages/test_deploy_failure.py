"""The page on failed deploy workflows: its classes by real requests to a GitHub that behaves, each guard with its twin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.grammar.evidence import Failure
from byteport.model.facts.github import JobLog
from byteport.model.signal import Mode
from byteport.probes.ci_logs import findings
from byteport.records.incident import Phase
from byteport.runbooks.deploys.deploy_failure import RUNBOOK
from byteport.runbooks.deploys.deploy_failure_evidence import pattern_of
from tests.github_server import REPOSITORY, running
from tests.http_server import Reply
from tests.pages.pipeline import HELM, Pipeline
from tests.ward.world import race

LOGS = {
    "infra_timeout": ("npm error code ETIMEDOUT\n", "toomanyrequests: rate limit exceeded\n", "dial tcp: i/o timeout\n"),
    "test_failure": ("FAIL  src/cart.test.ts\n", "Tests:       2 failed, 40 passed, 42 total\n",
                     "FAILED tests/test_cart.py::test_total - assert 1 == 2\n", " Test Files  1 failed | 7 passed (8)\n"),
    "build_failure": ("src/a.ts(3,5): error TS2322: Type 'x'\n", "✖ 3 problems (3 errors, 0 warnings)\n",
                      "denied: requested access to the resource is denied\n", "webpack compiled with 2 errors\n"),
    "deploy_step_failure": (HELM, 'error: deployment "web" exceeded its progress deadline\n',
                            "Error from server (Forbidden): deployments.apps is forbidden\n"),
}  # fmt: skip


@pytest.fixture
def pipeline(ledger_url: str, redis_url: str) -> Iterator[Pipeline]:
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    with running() as (github, _store):
        yield Pipeline(ledger, budgets, None, ledger_url, redis_url, pages=(RUNBOOK,), github=github)  # type: ignore[arg-type]
    ledger.close()
    budgets.close()


def dispatched(pipeline: Pipeline) -> int:
    return len(pipeline.github.dispatched)


# ── what is done ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_helm_upgrade_is_rolled_back_and_watched_to_its_end(pipeline):
    pipeline.good()
    run = pipeline.fail()
    incident = pipeline.treat(run)
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "deploy_step_failure")
    (told,) = pipeline.github.dispatched
    assert (told["workflow"], told["ref"]) == ("rollback.yml", "main")
    assert told["inputs"] == {
        "triggered_by": "byteport-agent", "failed_run_id": str(run["id"]), "target_sha": "b" * 40,
    }  # fmt: skip


def test_a_rollback_that_fails_is_told_and_not_tried_again(pipeline):
    pipeline.good()
    pipeline.github.dispatched_ends = "failure"
    incident = pipeline.treat(pipeline.fail())
    assert incident.phase is Phase.ESCALATE
    assert "verification failed" in incident.reason
    assert dispatched(pipeline) == 1


def test_a_rollback_that_never_ends_is_told_after_a_quarter_of_an_hour(pipeline):
    pipeline.good()
    pipeline.github.dispatched_ends = None
    incident = pipeline.treat(pipeline.fail())
    assert incident.phase is Phase.ESCALATE
    assert dispatched(pipeline) == 1


@pytest.mark.parametrize("tells", [True, False])
def test_a_lost_answer_to_the_dispatch_is_seen_and_nothing_is_dispatched_twice(pipeline, tells):
    pipeline.good()
    pipeline.github.tells_run_ids = tells
    incident = pipeline.take(pipeline.fail())
    pipeline.run(incident, until=Phase.ACT, deliver=False)
    usual = pipeline.github.answer

    def loses(asked):
        told = usual(asked)
        if asked.method == "POST":
            pipeline.github.http.answer = usual
            raise ConnectionAbortedError("the answer is lost")
        return told

    pipeline.github.http.answer = loses
    ended = pipeline.run(incident)
    pipeline.github.http.problems.clear()
    assert ended.ending == "resolved"
    assert dispatched(pipeline) == 1


def test_a_dispatch_that_github_refuses_is_told(pipeline):
    pipeline.good()
    pipeline.github.files[".github/workflows/rollback.yml"] = "on: [push]\njobs: {}\n"
    incident = pipeline.treat(pipeline.fail())
    assert incident.phase is Phase.ESCALATE
    assert "has no workflow_dispatch" in incident.reason
    assert dispatched(pipeline) == 0


def test_a_dry_run_shows_what_would_be_dispatched(pipeline):
    pipeline.good()
    incident = pipeline.treat(pipeline.fail(), mode=Mode.DRY_RUN)
    assert (incident.ending, dispatched(pipeline)) == ("rehearsed", 0)
    assert any(
        "would dispatch rollback.yml of acme-example/shop" in text for text in pipeline.texts(incident.id, "rehearsal")
    )


# ── what kind of failure it was ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kind", "log"), [(kind, log) for kind, logs in LOGS.items() for log in logs])
def test_each_class_by_its_log(pipeline, kind, log):
    incident = pipeline.treat(pipeline.fail(log), mode=Mode.DRY_RUN)
    assert (incident.diagnosis.name, incident.diagnosis.confidence) == (kind, 85)
    assert log.strip()[-20:] in incident.diagnosis.because or kind == "deploy_step_failure"
    assert dispatched(pipeline) == 0


@pytest.mark.parametrize("kind", ["infra_timeout", "test_failure", "build_failure"])
def test_what_reached_nobody_is_for_people_whatever_is_enabled(pipeline, kind):
    pipeline.good()
    incident = pipeline.treat(pipeline.fail(LOGS[kind][0]))
    assert (incident.phase, dispatched(pipeline)) == (Phase.ESCALATE, 0)


@pytest.mark.parametrize("kind", ["infra_timeout", "test_failure", "build_failure"])
def test_a_second_explanation_keeps_hands_off(pipeline, kind):
    """Whichever comes first in the order, both are seen, and nothing is dispatched."""
    pipeline.good()
    incident = pipeline.treat(pipeline.fail(HELM + LOGS[kind][0]))
    assert (incident.diagnosis.name, dispatched(pipeline)) == (kind, 0)
    assert incident.phase is Phase.ESCALATE


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"log": "nothing that is known here\n"}, "unknown"),
        ({"step": "Lint"}, "unknown"),
        ({"head_branch": "feature/x"}, "unknown"),
    ],
)
def test_without_all_three_signs_nothing_is_rolled_back(pipeline, change, why):
    pipeline.good()
    incident = pipeline.treat(pipeline.fail(**change))
    assert (incident.diagnosis.name, incident.phase, dispatched(pipeline)) == (why, Phase.ESCALATE, 0)


def test_a_branch_that_is_named_deploys_too(pipeline):
    pipeline.good(head_branch="stable")
    pipeline.options(rollbackBranches="release, stable")
    assert pipeline.treat(pipeline.fail(head_branch="stable")).ending == "resolved"


def test_a_run_that_never_got_a_runner_is_the_infrastructure_s(pipeline):
    run = pipeline.github.add_run(conclusion="startup_failure")
    assert pipeline.treat(run).diagnosis.name == "infra_timeout"


def test_without_an_earlier_success_there_is_nothing_to_go_back_to(pipeline):
    pipeline.github.files[".github/workflows/rollback.yml"] = "on: workflow_dispatch\n"
    incident = pipeline.treat(pipeline.fail())
    assert "no run of this workflow has succeeded before" in incident.reason
    assert dispatched(pipeline) == 0


def test_a_log_that_cannot_be_read_lets_nothing_be_done(pipeline):
    pipeline.good()
    run = pipeline.fail()
    pipeline.github.logs.clear()
    incident = pipeline.treat(run)
    assert (incident.diagnosis.name, incident.phase, dispatched(pipeline)) == ("inconclusive", Phase.ESCALATE, 0)
    assert "job_logs" in incident.diagnosis.because


def test_a_failed_probe_never_makes_another_class_win(pipeline):
    """The order and the logic are the grammar's; this holds the page's own rules to it."""
    pipeline.good()
    incident = pipeline.take(pipeline.fail())
    pipeline.run(incident, until=Phase.ACT, deliver=False)
    work = pipeline.engine()._work(*_claimed(pipeline, incident))
    for lost in ("jobs", "job_logs"):
        facts = {name: fact for name, fact in work.evidence.facts.items() if name != lost}
        told = RUNBOOK.diagnose(replace(work.evidence, facts=facts, failures={lost: Failure(kind="timeout", text="x")}))
        assert told.name == "inconclusive"


def _claimed(pipeline, incident):
    claimed = pipeline.ledger.claim(incident, [RUNBOOK.digest])
    assert claimed is not None
    return claimed


def test_what_a_log_says_is_clipped_and_without_secrets_and_colours():
    text = (
        "\x1b[31m2026-11-26T09:00:00.1Z not a stamp\x1b[0m\n"
        f"2026-11-26T09:47:09.1234567Z \x1b[31mError: UPGRADE FAILED\x1b[0m {'x' * 4000}\n"
        "2026-11-26T09:47:10.1Z ETIMEDOUT while fetching https://bot:s3cretpass@registry.example/x\n"
        + "ETIMEDOUT\n"
        * 50
    )
    told = findings(JobLog(job=1, name="deploy", text=text))
    kinds = [match.kind for match in told.matches]
    assert kinds.count("infra_timeout") == 5
    assert kinds.count("deploy_step_failure") == 1
    assert all(len(match.line) <= 300 for match in told.matches)
    assert "s3cretpass" not in told.model_dump_json()
    assert len(told.model_dump_json()) < 40_000


@pytest.mark.parametrize(
    ("told", "name", "matches"),
    [
        ("/deploy|release/i", "Deploy shop", True),
        ("/deploy/", "Deploy", False),
        ("^Ship$", "Ship", True),
        ("(", "x", False),
        ("", "x", False),
    ],
)
def test_the_allowlist_as_the_catalogue_writes_it(told, name, matches):
    assert (pattern_of(told).search(name) is not None) is matches


# ── once, and how it is told ─────────────────────────────────────────────────────────────────────────────────────────


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


def test_a_second_telling_within_the_day_is_suppressed(pipeline):
    assert (RUNBOOK.escalate.once_per.total_seconds(), RUNBOOK.escalate.on_duplicate) == (86_400, "suppress")
    incident = pipeline.treat(pipeline.fail("nothing known\n"))
    pipeline.engine().take(pipeline.signal_of(pipeline.github.runs[0]).with_(event_id="again"))
    pipeline.run(incident.id)
    assert len([one for one in pipeline.notebook.sent if one.message.channel == "postmark"]) == 1


# ── guards ───────────────────────────────────────────────────────────────────────────────────────────────────────────


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
