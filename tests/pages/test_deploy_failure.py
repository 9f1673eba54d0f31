"""The page on failed deploy workflows: its classes by real requests to a GitHub that behaves, each guard with its twin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from byteport.grammar.evidence import Failure
from byteport.model.facts.github import JobLog
from byteport.model.signal import Mode
from byteport.probes.ci_logs import findings
from byteport.records.incident import Phase
from byteport.runbooks.deploys.deploy_failure import RUNBOOK
from byteport.runbooks.deploys.deploy_failure_evidence import pattern_of
from tests.pages.pipeline import HELM, dispatched

LOGS = {
    "infra_timeout": ("npm error code ETIMEDOUT\n", "toomanyrequests: rate limit exceeded\n", "dial tcp: i/o timeout\n"),
    "test_failure": ("FAIL  src/cart.test.ts\n", "Tests:       2 failed, 40 passed, 42 total\n",
                     "FAILED tests/test_cart.py::test_total - assert 1 == 2\n", " Test Files  1 failed | 7 passed (8)\n"),
    "build_failure": ("src/a.ts(3,5): error TS2322: Type 'x'\n", "✖ 3 problems (3 errors, 0 warnings)\n",
                      "denied: requested access to the resource is denied\n", "webpack compiled with 2 errors\n"),
    "deploy_step_failure": (HELM, 'error: deployment "web" exceeded its progress deadline\n',
                            "Error from server (Forbidden): deployments.apps is forbidden\n"),
}  # fmt: skip


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
