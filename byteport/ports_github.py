"""What is asked of GitHub, and what may be changed there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from byteport.model.facts.github import Job, JobLog, Repository, Token, WorkflowRun


class GitHubReading(Protocol):
    """Raises Transient (`retry_after` under a rate limit), Denied (naming the permission), NotFound or Permanent."""

    def run(self, repository: str, run_id: int, attempt: int | None = None) -> WorkflowRun: ...
    def runs(
        self, repository: str, *, workflow: str = "", status: str = "", branch: str = "", event: str = "",
        created_since: datetime | None = None, most: int = 100,
    ) -> Sequence[WorkflowRun]:  # fmt: skip
        """The newest first."""
        ...

    def jobs(self, repository: str, run_id: int, attempt: int) -> Sequence[Job]: ...
    def log(self, repository: str, job: Job) -> JobLog:
        """The end of it, at most 1 MiB."""
        ...

    def repository(self, repository: str) -> Repository: ...
    def dispatch_inputs(self, repository: str, workflow_path: str, ref: str) -> Sequence[str] | None:
        """The inputs that the workflow file declares for a dispatch; None where it has no such trigger."""
        ...

    def token(self) -> Token: ...


class GitHubDispatching(Protocol):
    """The one thing that is changed."""

    def dispatch(
        self, repository: str, workflow: str, ref: str, inputs: Mapping[str, str], optional: Mapping[str, str]
    ) -> int | None:
        """Start a workflow; the run's id where GitHub tells it. Not idempotent: every call starts a run. `optional`
        inputs go along only where the workflow declares them. Raises Denied also for a token that could change
        workflows: such a one is not used."""
        ...
