"""What is known of a failed run, in our words."""

from __future__ import annotations

from byteport.model.base import Value
from byteport.model.facts.github import Job, Token, WorkflowRun


class FailedRun(Value):
    """The attempt itself, its jobs with their steps, where the repository deploys from, and the token's rights."""

    run: WorkflowRun
    jobs: tuple[Job, ...]
    default_branch: str
    rights: Token

    @property
    def failed_jobs(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.failed)


class LogMatch(Value):
    """A line of a log that says what kind of failure it was."""

    kind: str
    line: str


class LogFindings(Value):
    """What the end of a failed job's log says. Lines are clipped and without secrets; `tail` are the last ones."""

    job: str
    matches: tuple[LogMatch, ...] = ()
    tail: tuple[str, ...] = ()
    cut: bool = False
