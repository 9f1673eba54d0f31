"""What the page on failed deploy workflows looks at, and how it reads it."""

from __future__ import annotations

import re
from typing import Annotated

from byteport.grammar.evidence import Evidence
from byteport.model.facts.github import JobStep, WorkflowRun
from byteport.model.facts.pipelines import FailedRun, LogFindings, LogMatch
from byteport.probes import github

DEPLOYS = re.compile(r"deploy|helm|kubectl|rollout|release|apply|terraform|production", re.IGNORECASE)
DEFAULT_ALLOWLIST = "/deploy|release|production/i"


class DeployEvidence(Evidence):
    """What we look at (fields, each filled in by its probe) and how we read it (methods)."""

    jobs: Annotated[FailedRun, github.jobs]
    job_logs: Annotated[tuple[LogFindings, ...], github.job_logs]
    previous_success: Annotated[WorkflowRun | None, github.previous_success]
    dispatched_runs: Annotated[tuple[WorkflowRun, ...], github.dispatched_runs]

    def is_no_deploy(self) -> bool:
        """The workflow is not one that deploys, by the allowlist."""
        return not self.is_deploy_workflow()

    def is_deploy_workflow(self) -> bool:
        """The workflow is on the allowlist of those that deploy."""
        told = self.target.coordinates
        names = (told.get("workflow", ""), told.get("workflow_path", "").rpartition("/")[2])
        return any(pattern_of(self.option("deployWorkflowAllowlist")).search(name) for name in names if name)

    def infrastructure_failed(self) -> bool:
        """The log tells of a time-out, a lost connection or a rate limit, or the run never got a runner."""
        return self.jobs.run.conclusion in ("timed_out", "startup_failure") or bool(self.lines("infra_timeout"))

    def tests_failed(self) -> bool:
        """The log tells of failed tests (jest, vitest, pytest)."""
        return bool(self.lines("test_failure"))

    def build_failed(self) -> bool:
        """The log tells of a failed build or push (tsc, eslint, webpack, docker)."""
        return bool(self.lines("build_failure"))

    def deploy_tool_failed(self) -> bool:
        """The log tells of a failed helm or kubectl."""
        return bool(self.lines("deploy_step_failure"))

    def deploy_step_had_begun(self) -> bool:
        """A step that deploys had begun, and it is what failed."""
        return self.failed_step() is not None

    def is_where_it_deploys(self) -> bool:
        """The run is of the default branch, or of one that the configuration names."""
        named = [name.strip() for name in self.option("rollbackBranches").split(",") if name.strip()]
        return self.jobs.run.branch in (self.jobs.default_branch, *named)

    def token_is_narrow(self) -> bool:
        """The token may not change workflows."""
        return "workflow" not in self.jobs.rights.scopes

    def rollback_is_found(self) -> bool:
        """A run of the rollback workflow was dispatched since we looked first."""
        return self.rollback_run() is not None

    def rollback_has_ended(self) -> bool:
        """That run is over."""
        run = self.rollback_run()
        return run is not None and run.status == "completed"

    def rollback_went_well(self) -> bool:
        """That run has concluded with success."""
        run = self.rollback_run()
        return run is not None and run.conclusion == "success"

    def lines(self, kind: str) -> list[LogMatch]:
        return [match for log in self.job_logs for match in log.matches if match.kind == kind]

    def failed_step(self) -> JobStep | None:
        steps = [step for job in self.jobs.failed_jobs for step in job.steps]
        return next((s for s in steps if s.conclusion in ("failure", "timed_out") and DEPLOYS.search(s.name)), None)

    def rollback_run(self) -> WorkflowRun | None:
        """The first that was not there before; before the first write there is none."""
        file = self.option("rollbackWorkflowFile")
        known = {run.id for run in self.before.dispatched_runs}
        ours = [run for run in self.dispatched_runs if run.path.rpartition("/")[2] == file and run.id not in known]
        return min(ours, key=lambda run: run.id, default=None) if self.acted_at is not None else None

    def option(self, name: str) -> str:
        return str(self.options.get(name) or "")

    @property
    def repository(self) -> str:
        return f"{self.target.coordinates.get('owner', '')}/{self.target.coordinates.get('repo', '')}"


def pattern_of(told: str) -> re.Pattern[str]:
    """`/…/i` as in the catalogue, or a plain pattern; one that cannot be read matches nothing."""
    found = re.fullmatch(r"/(.*)/(i?)", told)
    text, flags = (found[1], re.IGNORECASE if found[2] else 0) if found else (told, 0)
    try:
        return re.compile(text, flags) if text else re.compile(r"(?!)")
    except re.error:
        return re.compile(r"(?!)")
