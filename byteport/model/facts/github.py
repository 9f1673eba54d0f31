"""What GitHub tells of workflow runs, in our words."""

from __future__ import annotations

from pydantic import AwareDatetime

from byteport.model.base import Value


class WorkflowRun(Value):
    """One attempt of a run. `conclusion` is empty while it is under way; `path` is the workflow's file."""

    id: int
    attempt: int = 1
    number: int = 0
    workflow_id: int = 0
    name: str = ""
    path: str = ""
    event: str = ""
    branch: str = ""
    head_sha: str = ""
    status: str = ""
    conclusion: str = ""
    actor: str = ""
    url: str = ""
    title: str = ""
    created_at: AwareDatetime
    updated_at: AwareDatetime


class JobStep(Value):
    """A step of a job; `conclusion` is empty where it did not end."""

    number: int
    name: str
    status: str = ""
    conclusion: str = ""


class Job(Value):
    """A job of a run's attempt, with its steps in order."""

    id: int
    name: str
    status: str = ""
    conclusion: str = ""
    environment: str = ""
    url: str = ""
    steps: tuple[JobStep, ...] = ()

    @property
    def failed(self) -> bool:
        return self.conclusion in ("failure", "timed_out", "startup_failure")


class JobLog(Value):
    """The end of a job's log. `cut` says that it was longer."""

    job: int
    name: str
    text: str
    cut: bool = False


class Repository(Value):
    """`default_branch` is where a workflow is dispatched."""

    full_name: str
    default_branch: str
    private: bool = True


class Token(Value):
    """What a token may do, as far as GitHub tells: `scopes` of a classic one; a fine-grained one or an app's tells none
    (`classic` False)."""

    classic: bool
    scopes: tuple[str, ...] = ()
