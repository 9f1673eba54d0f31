"""A whole BytePort on real stores before a GitHub of the test's own: what a failed run really leads to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import redis

from byteport.adapters import github as adapter
from byteport.adapters.github import GitHubDispatcher, GitHubReader
from byteport.engine.engine import Engine
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.engine.routing import signal_by
from byteport.model.signal import Mode
from byteport.records.incident import Incident
from byteport.runbooks.deploys.deploy_failure import RUNBOOK
from byteport.sources.default_routes import default_routes
from byteport.sources.github_runs import alert_of
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests.github_server import REPOSITORY, TOKEN, GitHub
from tests.ward.world import World

SLUG = RUNBOOK.name
ENABLED = {"rollbackEnabled": True, "rollbackWorkflowFile": "rollback.yml"}
ROLLBACK = """
name: Rollback
on:
  workflow_dispatch:
    inputs:
      triggered_by: {required: true}
      failed_run_id: {required: true}
      target_sha: {required: false}
jobs: {}
"""
HELM = "2026-11-26T09:47:09.1Z Error: UPGRADE FAILED: timed out waiting for the condition\n"


@dataclass
class Pipeline(World):
    """`fail` puts a failed run into GitHub, `treat` signals it as the poller would and moves until it rests."""

    github: GitHub = field(kw_only=True)
    policy: Policy = field(
        default_factory=lambda: Policy(first_day_rate=1000, channels=("slack", "postmark"), options={SLUG: ENABLED})
    )

    @property
    def reader(self) -> GitHubReader:
        return GitHubReader(adapter.api(TOKEN, self.github.http.url, timedelta(seconds=5)))

    def engine(self, driver: str = "") -> Engine:
        outbox = Outbox(self.ledger, {"slack": self.notebook, "postmark": self.notebook, "journal": self.notebook})
        looks: Any = SimpleNamespace(github=self.reader)
        acts: Any = SimpleNamespace(github=GitHubDispatcher(self.reader.api))
        return Engine(
            self.ledger, self.budgets, looks, acts, Pages((RUNBOOK,)), self.policy, NoDoorbell(), outbox, driver=driver
        )

    def options(self, **more: Any) -> None:
        told = {SLUG: {**self.policy.options.get(SLUG, {}), **more}}
        self.policy = replace(self.policy, options=told)

    def good(self, **more: Any) -> dict[str, Any]:
        """An earlier run that ended well, and the rollback workflow's file."""
        self.github.files[".github/workflows/rollback.yml"] = ROLLBACK
        return self.github.add_run(conclusion="success", head_sha="b" * 40, **more)

    def fail(self, log: str = HELM, step: str = "helm upgrade", **more: Any) -> dict[str, Any]:
        run = self.github.add_run(**more)
        self.github.add_job(run, log, steps=[("Checkout", "success"), (step, "failure"), ("Notify", "skipped")])
        return run

    def signal_of(self, run: dict[str, Any]) -> Any:
        alert = alert_of(self.reader.run(REPOSITORY, run["id"], run["run_attempt"]), REPOSITORY, "main")
        route = next(route for route in default_routes() if not route.why_not(alert))
        return signal_by(route, alert)

    def take(self, run: dict[str, Any], mode: Mode = Mode.LIVE, **more: Any) -> str:
        if mode is not Mode.DRY_RUN:
            self.ledger.promote(SLUG, mode, "test", "for the test")
        admission = self.engine().take(self.signal_of(run).with_(**more))
        assert admission is not None
        return admission.incident

    def treat(self, run: dict[str, Any], mode: Mode = Mode.LIVE, **more: Any) -> Incident:
        return self.run(self.take(run, mode, **more), most=400)

    def an_hour_passes(self) -> None:
        """For the budgets too: what Redis forgets it is told again by the ledger, whose clock was moved."""
        travel(self.url, 3601)
        with redis.Redis.from_url(self.redis_url) as server:
            server.flushall()

    def refusals(self, incident: Incident) -> list[str]:
        return [verdict["guard"] for verdict in self.verdicts(incident.id)]


def dispatched(pipeline: Pipeline) -> int:
    """How many workflows were started."""
    return len(pipeline.github.dispatched)
