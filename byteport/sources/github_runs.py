"""GitHub Actions, asked: runs of deploying workflows that have ended badly, each attempt once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from byteport.model.alert import Alert
from byteport.model.facts.github import WorkflowRun
from byteport.model.signal import Severity
from byteport.ports_github import GitHubReading
from byteport.sources.incoming import Heard, attempt, id_of, labels, text

SOURCE = "github-poller"
FAILED = frozenset(("failure", "timed_out", "startup_failure"))
LOOK_BACK = timedelta(hours=6)  # runs that began before and failed since; a deploy takes less


@dataclass(frozen=True)
class GitHubRunsPoller:
    """One repository. It remembers nothing: an attempt is known by its event id, and its incident is for good."""

    github: GitHubReading
    repository: str
    period: timedelta
    timeout: timedelta
    deploys: re.Pattern[str] = field(default_factory=lambda: re.compile(r"(?i).*(deploy|release|production).*"))

    @property
    def name(self) -> str:
        return f"github {self.repository}"

    def ask(self, now: datetime) -> Sequence[Heard]:
        runs = self.github.runs(self.repository, status="completed", created_since=now - LOOK_BACK)
        found = [run for run in runs if run.conclusion in FAILED and is_deploy(run, self.deploys)]
        if not found:
            return ()
        default = self.github.repository(self.repository).default_branch
        heard = [attempt(lambda run=run: alert_of(run, self.repository, default)) for run in found]  # type: ignore[misc]
        return [one for one in heard if one is not None]


def is_deploy(run: WorkflowRun, deploys: re.Pattern[str]) -> bool:
    return any(deploys.fullmatch(text) for text in (run.name, run.path.rpartition("/")[2]))


def alert_of(run: WorkflowRun, repository: str, default_branch: str) -> Alert:
    """With the labels that the webhook's alert has, so that one route serves both."""
    owner, _, repo = repository.partition("/")
    return Alert(
        source=SOURCE,
        name="workflow_run",
        fired_at=run.updated_at,
        severity=Severity.HIGH,
        summary=text(f"{run.name} #{run.number} on {run.branch}: {run.conclusion}"),
        labels=labels(
            owner=owner, repo=repo, repository=repository, conclusion=run.conclusion, workflow=run.name,
            workflow_id=run.workflow_id, workflow_path=run.path, run_id=run.id, run_attempt=run.attempt,
            run_number=run.number, event=run.event, branch=run.branch, default_branch=default_branch,
            on_default_branch=run.branch == default_branch, head_sha=run.head_sha, actor=run.actor, run_url=run.url,
        ),
        event_id=id_of("run", repository, run.id, run.attempt, run.conclusion),
    )  # fmt: skip
