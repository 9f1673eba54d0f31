"""Looks at a failed run of GitHub Actions."""

from __future__ import annotations

from byteport.errors import Denied, Permanent
from byteport.grammar.evidence import probe
from byteport.model.facts.github import WorkflowRun
from byteport.model.facts.pipelines import FailedRun, LogFindings
from byteport.model.target import Target
from byteport.ports import Readers
from byteport.probes.ci_logs import findings

GITHUB = "github"
MOST_LOGS = 4
MOST_DISPATCHED = 30


def where(target: Target) -> tuple[str, int, int]:
    """Repository, run and attempt of a target; raises Permanent where its coordinates do not say."""
    told = target.coordinates
    try:
        return f"{told['owner']}/{told['repo']}", int(told["run_id"]), int(told.get("run_attempt", "1"))
    except (KeyError, ValueError):
        raise Permanent("the target needs the coordinates owner, repo, run_id and run_attempt") from None


@probe(over=GITHUB)
def jobs(target: Target, readers: Readers) -> FailedRun:
    """The attempt with its jobs and steps."""
    repository, run, attempt = where(target)
    token = readers.github.token()
    if "workflow" in token.scopes:
        raise Denied("github: the token may change workflows (scope `workflow`): use one that may not")
    return FailedRun(
        run=readers.github.run(repository, run, attempt),
        jobs=tuple(readers.github.jobs(repository, run, attempt)),
        default_branch=readers.github.repository(repository).default_branch,
        rights=token,
    )


@probe(over=GITHUB)
def job_logs(target: Target, readers: Readers) -> tuple[LogFindings, ...]:
    """What the logs of its failed jobs say."""
    repository, run, attempt = where(target)
    failed = [job for job in readers.github.jobs(repository, run, attempt) if job.failed]
    return tuple(findings(readers.github.log(repository, job)) for job in failed[:MOST_LOGS])


@probe(over=GITHUB)
def previous_success(target: Target, readers: Readers) -> WorkflowRun | None:
    """The last run of the same workflow and branch that ended well before it."""
    repository, run, attempt = where(target)
    this = readers.github.run(repository, run, attempt)
    found = readers.github.runs(
        repository, workflow=str(this.workflow_id), status="success", branch=this.branch, most=10
    )
    return next((one for one in found if one.id != this.id and one.created_at <= this.created_at), None)


@probe(over=GITHUB)
def dispatched_runs(target: Target, readers: Readers) -> tuple[WorkflowRun, ...]:
    """The newest runs of the repository that somebody dispatched."""
    repository, _, _ = where(target)
    return tuple(readers.github.runs(repository, event="workflow_dispatch", most=MOST_DISPATCHED))
