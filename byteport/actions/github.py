"""Dispatching a workflow of GitHub Actions."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from byteport.grammar.action import Action, Effect, Marked
from byteport.model.base import Json
from byteport.model.facts.github import WorkflowRun
from byteport.model.units import seconds
from byteport.ports import Readers, Writers

TRIGGERED_BY = "byteport-agent"


class DispatchRollback(Action):
    """Start the rollback workflow for a failed run. Every call starts a run, so it is never sent twice: after a lost
    answer it has happened where a run was dispatched since that was not there before."""

    idempotent: ClassVar[bool] = False
    verbs: ClassVar[tuple[str, ...]] = ("dispatch",)
    patience: ClassVar[timedelta] = seconds(60)

    repository: str = Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")
    workflow: str = Field(pattern=r"^[A-Za-z0-9_.-]+\.ya?ml$")
    ref: str = Field(min_length=1, max_length=255)
    environment: str = Field(min_length=1, max_length=255)
    failed_run: int
    failed_attempt: int
    target_sha: str = ""

    @property
    def subject(self) -> str:
        return f"environment:{self.repository}/{self.environment}"

    @property
    def write_scope(self) -> str:
        return f"repository:{self.repository}"

    @property
    def within(self) -> tuple[str, ...]:
        return (f"repository:{self.repository}",)

    def preview(self, readers: Readers) -> str:
        to = f" to {self.target_sha[:12]}" if self.target_sha else ""
        return f"dispatch {self.workflow} of {self.repository} on {self.ref}{to} for run {self.failed_run}"

    def look_before(self, readers: Readers) -> Json:
        return {"newest": max((run.id for run in self._runs(readers)), default=0)}

    def holds(self, readers: Readers, intent: Marked) -> bool:
        """GitHub has told the run's id, or a run is there that was not before."""
        if intent.effect is not None and intent.effect.items:
            return True
        newest = int(intent.pre_state.get("newest", 0))
        return bool(intent.attempts) and any(run.id > newest for run in self._runs(readers))

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        inputs = {"triggered_by": TRIGGERED_BY, "failed_run_id": str(self.failed_run)}
        optional = {"target_sha": self.target_sha} if self.target_sha else {}
        run = writers.github.dispatch(self.repository, self.workflow, self.ref, inputs, optional)
        return Effect(note=f"dispatched {self.workflow}", items=(str(run),) if run is not None else ())

    def _runs(self, readers: Readers) -> list[WorkflowRun]:
        return list(readers.github.runs(self.repository, workflow=self.workflow, event="workflow_dispatch", most=30))
