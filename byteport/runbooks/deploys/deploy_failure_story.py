"""How the page on failed deploy workflows tells people."""

from __future__ import annotations

from shlex import quote
from typing import Any

from byteport.grammar.story import Story
from byteport.model.facts.pipelines import FailedRun
from byteport.runbooks.deploys.deploy_failure_evidence import DeployEvidence

CONTENT = (
    "workflow", "branch", "actor", "run_url", "failure_class", "classification_reason", "previous_success_exists",
    "rollback_triggered",
)  # fmt: skip
FIXES = {
    "infra_timeout": "Run it again once the service that timed out is well; a retry around that step keeps it from "
    "failing a deploy.",
    "test_failure": "Nothing was deployed: fix the test or what it found, and run the workflow again.",
    "build_failure": "Nothing was deployed: fix the build, or the right to push the image, and run the workflow again.",
    "deploy_step_failure": "Find out why the release does not come up (events and logs of its pods) before it is "
    "deployed again.",
}


def why(kind: str) -> Any:
    """The lines of the log that speak for a class."""

    def says(e: DeployEvidence) -> str:
        found = e.lines(kind)
        step = e.failed_step()
        told = [f"step {step.name!r} failed"] if step is not None and kind == "deploy_step_failure" else []
        told += [f"{found[0].line!r}"] if found else [f"the run concluded as {e.jobs.run.conclusion}"]
        return "; ".join(told)

    return says


def summary(story: Story) -> dict[str, Any]:
    """The link is the run's own address as GitHub gives it; the incident's stands beside it."""
    told, run = _coordinates(story), story.fact("jobs")
    return {
        "workflow": told.get("workflow", ""),
        "run": run.run.url if isinstance(run, FailedRun) else told.get("run_url", ""),
        "branch": told.get("branch", ""),
        "failure": story.diagnosis.name if story.diagnosis else "not known",
        "author": told.get("actor", ""),
        "action": "rollback dispatched" if story.count("dispatch") else "nothing was written",
        "link": story.link,
    }


def bundle(story: Story) -> dict[str, Any]:
    told, run = _coordinates(story), story.fact("jobs")
    previous, logs = story.fact("previous_success"), story.fact("job_logs") or ()
    return {
        "workflow": told.get("workflow", ""),
        "branch": told.get("branch", ""),
        "actor": told.get("actor", ""),
        "run_url": run.run.url if isinstance(run, FailedRun) else told.get("run_url", ""),
        "failure_class": story.diagnosis.name if story.diagnosis else None,
        "classification_reason": story.diagnosis.because if story.diagnosis else None,
        "previous_success_exists": previous is not None if story.evidence.knows("previous_success") else "not known",
        "previous_success": previous.url if previous is not None else None,
        "rollback_triggered": bool(story.count("dispatch")),
        "failed_jobs": [
            {"job": job.name, "steps": [step.name for step in job.steps if step.conclusion in ("failure", "timed_out")]}
            for job in (run.failed_jobs if isinstance(run, FailedRun) else ())
        ],
        "log_matches": [f"{match.kind}: {match.line}" for log in logs for match in log.matches],
        "log_tail": {log.job: list(log.tail) for log in logs},
    }


def commands(story: Story) -> tuple[str, ...]:
    """What a person would type, with this run's names."""
    told = _coordinates(story)
    repository, run = f"{told.get('owner', '')}/{told.get('repo', '')}", told.get("run_id", "RUN")
    file = str(story.evidence.options.get("rollbackWorkflowFile") or "rollback.yml")
    previous = story.fact("previous_success")
    sha = f" -f target_sha={quote(previous.head_sha)}" if previous is not None else ""
    inputs = f'-f triggered_by="$USER" -f failed_run_id={quote(run)}{sha}'
    return (
        f"gh run view {quote(run)} --repo {quote(repository)} --log-failed",
        f"gh workflow run {quote(file)} --repo {quote(repository)} {inputs}",
    )


def permanent_fix(story: Story) -> str:
    name = story.diagnosis.name if story.diagnosis else ""
    return FIXES.get(name, "Read the log of the failed job: nothing in it is known here.")


def _coordinates(story: Story) -> dict[str, str]:
    return dict(story.evidence.target.coordinates)
