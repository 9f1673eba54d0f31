"""A deploy workflow of GitHub Actions has failed.

Find out from the logs of its failed jobs what kind of failure it was. Only where a deploying step had begun, on a
branch that deploys, and nothing else explains the failure, may something have reached production; then, if people have
enabled it, the rollback workflow is dispatched, once for an attempt of a run, and watched to its end. Log text is
written by whatever ran: it is compared with patterns and never obeyed.
"""

from __future__ import annotations

from byteport.actions.github import DispatchRollback
from byteport.grammar.action import Action
from byteport.grammar.guards import Budget, Enabled, OnceForGood, Requires
from byteport.grammar.plan import Await, Plan
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import all_of
from byteport.model.signal import Severity
from byteport.model.target import TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.runbooks.deploys import deploy_failure_story as story
from byteport.runbooks.deploys.deploy_failure_evidence import DEFAULT_ALLOWLIST, DeployEvidence


def run_of(action: Action) -> str:
    """An attempt of a run: a second one may fail for another reason."""
    return (
        f"{action.repository}/{action.failed_run}/{action.failed_attempt}"
        if isinstance(action, DispatchRollback)
        else ""
    )


DISPATCH = Move("dispatch", DispatchRollback, (
    Enabled(name="rollback_opt_in", switch="rollbackEnabled"),
    Requires(name="token_scope", condition=DeployEvidence.token_is_narrow, reads=("jobs",),
             value="Actions and Contents read; one that dispatches only with rollbackEnabled; never Workflows write"),
    Requires(name="workflow_allowlist", condition=DeployEvidence.is_deploy_workflow, as_kind="allowlist", on_hit="end",
             value=f"deployWorkflowAllowlist, default {DEFAULT_ALLOWLIST}"),
    OnceForGood(name="run_dedup", counter="ci_run_once", scope=run_of, scope_name="per run_id and run_attempt",
                on_hit="skip"),
    Budget(name="workflow_rollback_rate", limit=1, per=hours(1), counter="workflow_rollback", by_amount=False,
           scope_name="per repository and environment"),
))  # fmt: skip


def nothing(e: DeployEvidence) -> Plan:
    return Plan(reason=f"{e.target.coordinates.get('workflow', 'the workflow')} is none that deploys")


def for_people(_: DeployEvidence) -> Plan:
    return Plan(end="escalate", reason="nothing reached production: it is for whoever changed it")


def retry_by_people(_: DeployEvidence) -> Plan:
    return Plan(end="escalate", reason="the infrastructure failed, and no action is described for that")


def roll_back(e: DeployEvidence) -> Plan:
    file, previous, run = e.option("rollbackWorkflowFile"), e.previous_success, e.jobs.run
    if e.options.get("rollbackEnabled") is not True:
        return Plan(end="escalate", reason="rollback is not enabled", withheld=True)
    if not file:
        return Plan(end="escalate", reason="no rollbackWorkflowFile is configured")
    if previous is None:
        return Plan(end="escalate", reason="no run of this workflow has succeeded before: nothing to go back to")
    dispatch = DISPATCH(
        repository=e.repository, workflow=file, ref=e.jobs.default_branch, environment=e.option("rollbackEnvironment"),
        failed_run=run.id, failed_attempt=run.attempt, target_sha=previous.head_sha,
    )  # fmt: skip
    found = Await(check="rollback_is_found", within=seconds(60), every=seconds(5))
    return Plan(steps=(dispatch, found, Await(check="rollback_has_ended", within=minutes(15), every=seconds(15))))


RUNBOOK = Runbook(
    name="deploy_failure",
    title="Failed GitHub Actions deploy workflow",
    category="deploys",
    summary="Classifies failed deploy workflow runs from the logs of their jobs and, if that is enabled, dispatches "
    "the rollback workflow and watches it to its end.",
    signals=(OnSignal("deploy_failed", threshold="a workflow run concludes in failure", severity=Severity.HIGH),),
    target=TargetKind.WORKFLOW_RUN,
    target_key="run_id",
    once=True,
    evidence=DeployEvidence,
    checks={
        "rollback_is_found": ("dispatched_runs",),
        "rollback_has_ended": ("dispatched_runs",),
    },
    moves=(DISPATCH,),
    rules=(
        Rule("no_deploy", 1.0, "audit_only", when=DeployEvidence.is_no_deploy, then=nothing),
        Rule("infra_timeout", 0.85, "escalate", when=DeployEvidence.infrastructure_failed, then=retry_by_people,
             says=story.why("infra_timeout")),
        Rule("test_failure", 0.85, "escalate", when=DeployEvidence.tests_failed, then=for_people,
             says=story.why("test_failure")),
        Rule("build_failure", 0.85, "escalate", when=DeployEvidence.build_failed, then=for_people,
             says=story.why("build_failure")),
        Rule("deploy_step_failure", 0.85, "act", then=roll_back, says=story.why("deploy_step_failure"),
             when=all_of(DeployEvidence.deploy_tool_failed, DeployEvidence.deploy_step_had_begun,
                         DeployEvidence.is_where_it_deploys)),
    ),
    otherwise=Otherwise("unknown"),
    permissions={
        "api": ("Actions: read", "Contents: read", "Issues: write for the ticket",
                "Actions: write for the dispatching token, only with rollbackEnabled"),
    },
    options=(
        Option("repo", "", "owner/name; not given: the run's own"),
        Option("owner", "", "owner; not given: the run's own"),
        Option("rollbackEnabled", False, "allow the dispatch"),
        Option("rollbackWorkflowFile", "", "workflow file to dispatch, such as rollback.yml"),
        Option("rollbackBranches", "", "branches besides the default one whose runs deploy, separated by commas"),
        Option("rollbackEnvironment", "production", "what the workflow deploys to; one rollback an hour for each"),
        Option("deployWorkflowAllowlist", DEFAULT_ALLOWLIST, "workflows that count as deploys, by name or file"),
    ),
    verify=(
        Check("the dispatched run is found within 60 s and has concluded with success within 15 min",
              DeployEvidence.rollback_went_well, ("dispatched_runs",), within=seconds(30), every=seconds(10)),
    ),
    escalate=Escalation(
        channels=("postmark", "github_issue"), once_per=hours(24), per=("run_id",), on_duplicate="suppress",
        content=story.CONTENT, summary=story.summary, bundle=story.bundle, manual=story.commands,
        fix=story.permanent_fix,
    ),
    proven_on=("GitHub's published API description 23.0.2",),
)  # fmt: skip
