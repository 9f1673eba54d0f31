"""A GitHub on loopback that keeps runs, jobs, logs, workflow files, issues and comments, and does what is asked.

Every request, and every answer that succeeds, is held to GitHub's published description. What an object must have
besides what a test says is taken from that description's own examples.
"""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from tests.http_server import Asked, Loopback, Reply, loopback
from tests.openapi import PRUNED, held_to_github

TOKEN = "ghs_" + "t" * 36
REPOSITORY = "acme-example/shop"
NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)


def example(name: str, part: str = "") -> Any:
    told = json.loads(PRUNED.read_text("utf-8"))["components"]["examples"][name]["value"]
    return told[part][0] if part else told


@dataclass
class GitHub:
    """`scopes` None: the token is none of the classic ones, which tell theirs."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[tuple[int, int], list[dict[str, Any]]] = field(default_factory=dict)
    logs: dict[int, bytes] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    issues: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    dispatched: list[dict[str, Any]] = field(default_factory=list)
    scopes: str | None = None
    tells_run_ids: bool = True
    dispatched_ends: str | None = "success"
    log_store: str = ""
    http: Any = None
    next_id: int = 1000
    now: datetime = NOW

    # -- what a test puts in ---------------------------------------------------------------------------------------------
    def add_run(self, **more: Any) -> dict[str, Any]:
        self.next_id += 1
        run = example("workflow-run")
        run.update({
            "id": self.next_id, "run_attempt": 1, "run_number": self.next_id - 1000, "workflow_id": 77, "name": "Deploy",
            "path": ".github/workflows/deploy.yml", "head_branch": "main", "head_sha": "a" * 40, "event": "push",
            "status": "completed", "conclusion": "failure", "display_title": "Deploy",
            "created_at": self.iso(), "updated_at": self.iso(), "run_started_at": self.iso(),
        })  # fmt: skip
        run.update(more)
        run["html_url"] = f"https://github.example/{REPOSITORY}/actions/runs/{run['id']}"
        self.runs.insert(0, run)
        return run

    def add_job(self, run: dict[str, Any], log: str | bytes = "", **more: Any) -> dict[str, Any]:
        self.next_id += 1
        job = example("job-paginated", "jobs")
        job.update({
            "id": self.next_id, "run_id": run["id"], "run_attempt": run["run_attempt"], "name": "deploy",
            "status": "completed", "conclusion": "failure", "steps": [], "created_at": self.iso(),
        })  # fmt: skip
        steps = more.pop("steps", [])
        job.update(more)
        job["steps"] = [
            {"name": name, "status": "completed", "conclusion": conclusion, "number": n}
            for n, (name, conclusion) in enumerate(steps, 1)
        ]
        self.jobs.setdefault((run["id"], run["run_attempt"]), []).append(job)
        self.logs[job["id"]] = log.encode() if isinstance(log, str) else log
        return job

    def iso(self) -> str:
        return f"{self.now:%Y-%m-%dT%H:%M:%SZ}"

    # -- what it does ------------------------------------------------------------------------------------------------------
    def answer(self, asked: Asked) -> Reply:
        reply = self._answer(asked)
        held_to_github(asked, reply)
        return reply

    def _answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, {"message": "Bad credentials"})
        for method, pattern, act in self._words():
            if method == asked.method and (found := re.fullmatch(pattern, asked.path)):
                return act(asked, *found.groups())
        return Reply(404, {"message": "Not Found"})

    def _words(self) -> list[tuple[str, str, Callable[..., Reply]]]:
        at = f"/repos/{re.escape(REPOSITORY)}"
        return [
            ("GET", "/rate_limit", self._rate),
            ("GET", at, self._repository),
            ("GET", at + r"/actions/runs", self._list_runs),
            ("GET", at + r"/actions/workflows/([^/]+)/runs", self._list_runs),
            ("GET", at + r"/actions/runs/(\d+)(?:/attempts/(\d+))?", self._one_run),
            ("GET", at + r"/actions/runs/(\d+)/attempts/(\d+)/jobs", self._list_jobs),
            ("GET", at + r"/actions/jobs/(\d+)/logs", self._log),
            ("POST", at + r"/actions/workflows/([^/]+)/dispatches", self._dispatch),
            ("GET", at + r"/contents/(.+)", self._contents),
            ("POST", at + r"/issues", self._open),
            ("GET", at + r"/issues", self._list_issues),
            ("PATCH", at + r"/issues/(\d+)", self._change),
            ("POST", at + r"/issues/(\d+)/comments", self._comment),
            ("GET", at + r"/issues/(\d+)/comments", self._list_comments),
        ]

    def _rate(self, _asked: Asked) -> Reply:
        headers = {} if self.scopes is None else {"X-OAuth-Scopes": self.scopes}
        return Reply(200, example("rate-limit-overview"), headers)

    def _repository(self, _asked: Asked) -> Reply:
        told = example("full-repository")
        more = {
            "full_name": REPOSITORY,
            "default_branch": "main",
            "has_discussions": False,
        }  # the example lacks the last
        return Reply(200, {**told, **more})

    def _list_runs(self, asked: Asked, workflow: str = "") -> Reply:
        query = asked.query
        for run in self.runs:
            self._goes_on(run)
        since = query.get("created", "").removeprefix(">=")
        found = [
            run for run in self.runs
            if workflow in ("", str(run["workflow_id"]), run["path"].rpartition("/")[2])
            and query.get("status", run["conclusion"]) in (run["conclusion"], run["status"])
            and query.get("branch", run["head_branch"]) == run["head_branch"]
            and query.get("event", run["event"]) == run["event"]
            and run["created_at"] >= since
        ]  # fmt: skip
        return Reply(200, {"total_count": len(found), "workflow_runs": _page(found, query)})

    def _goes_on(self, run: dict[str, Any]) -> None:
        """What was dispatched is queued, runs, and has ended, one step for each time that somebody looks."""
        if run["status"] == "queued":
            run["status"] = "in_progress"
        elif run["status"] == "in_progress" and self.dispatched_ends is not None:
            run.update({"status": "completed", "conclusion": self.dispatched_ends})

    def _one_run(self, _asked: Asked, run_id: str, attempt: str | None) -> Reply:
        found = [r for r in self.runs if r["id"] == int(run_id) and (not attempt or r["run_attempt"] == int(attempt))]
        return Reply(200, max(found, key=lambda r: r["run_attempt"])) if found else Reply(404, {"message": "Not Found"})

    def _list_jobs(self, asked: Asked, run_id: str, attempt: str) -> Reply:
        found = self.jobs.get((int(run_id), int(attempt)), [])
        return Reply(200, {"total_count": len(found), "jobs": _page(found, asked.query)})

    def _log(self, _asked: Asked, job: str) -> Reply:
        if int(job) not in self.logs:
            return Reply(404, {"message": "Not Found"})
        return Reply(302, None, {"Location": f"{self.log_store}/logs/{job}?sig=abc"})

    def _dispatch(self, asked: Asked, workflow: str) -> Reply:
        file = self.files.get(f".github/workflows/{workflow}")
        if file is None:
            return Reply(404, {"message": "Not Found"})
        declared = re.findall(r"^      (\w+):", file, re.MULTILINE)
        if strange := [name for name in asked.json.get("inputs", {}) if name not in declared]:
            return Reply(422, {"message": f"Unexpected inputs provided: {strange}"})
        run = self.add_run(
            event="workflow_dispatch", status="queued", conclusion=None, path=f".github/workflows/{workflow}",
            name="Rollback", workflow_id=88, head_branch=asked.json["ref"],
        )  # fmt: skip
        self.dispatched.append({**asked.json, "workflow": workflow, "run": run["id"]})
        if not (self.tells_run_ids and asked.json.get("return_run_details")):
            return Reply(204)
        told = example("workflow-dispatch-response")
        return Reply(200, {**told, "workflow_run_id": run["id"]})

    def _contents(self, _asked: Asked, path: str) -> Reply:
        if path not in self.files:
            return Reply(404, {"message": "Not Found"})
        told = example("content-file-response-if-content-is-a-file")
        content = base64.encodebytes(self.files[path].encode()).decode()
        return Reply(200, {**told, "path": path, "content": content})

    def _open(self, asked: Asked) -> Reply:
        issue = copy.deepcopy(example("issue"))
        number = len(self.issues) + 1
        labels = [{**issue["labels"][0], "name": name} for name in asked.json.get("labels", [])]
        told = {"number": number, "title": asked.json["title"], "body": asked.json.get("body"), "state": "open"}
        issue.update({**told, "labels": labels, "created_at": self.iso(), "updated_at": self.iso()})
        self.issues.insert(0, issue)
        return Reply(201, issue)

    def issue(self, number: int) -> dict[str, Any]:
        return next(issue for issue in self.issues if issue["number"] == number)

    def _list_issues(self, asked: Asked) -> Reply:
        wanted = set(filter(None, asked.query.get("labels", "").split(",")))
        found = [
            issue for issue in self.issues
            if wanted <= {label["name"] for label in issue["labels"]} and issue["updated_at"] >= asked.query.get("since", "")
        ]  # fmt: skip
        return Reply(200, _page(found, asked.query))

    def _change(self, asked: Asked, number: str) -> Reply:
        issue = self.issue(int(number))
        issue.update({name: asked.json[name] for name in ("state", "state_reason") if name in asked.json})
        return Reply(200, issue)

    def _comment(self, asked: Asked, number: str) -> Reply:
        self.next_id += 1
        comment = {**example("issue-comment"), "id": self.next_id, "body": asked.json["body"], "updated_at": self.iso()}
        self.comments.setdefault(int(number), []).append(comment)
        return Reply(201, comment)

    def _list_comments(self, asked: Asked, number: str) -> Reply:
        found = [c for c in self.comments.get(int(number), []) if c["updated_at"] >= asked.query.get("since", "")]
        return Reply(200, _page(found, asked.query))


def _page(found: list[Any], query: dict[str, str]) -> list[Any]:
    size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
    return found[(page - 1) * size : page * size]


@cache
def _warmed() -> None:
    """The description is read and made ready once, and before anybody waits for the first answer."""
    held_to_github(Asked("GET", "/rate_limit", {}, {}, b""), Reply(404))


@contextmanager
def running() -> Iterator[tuple[GitHub, Loopback]]:
    """GitHub, and the storage of another origin where its logs lie (as `github.http` and the second)."""
    github = GitHub()
    _warmed()

    def stored(asked: Asked) -> Reply:
        return Reply(200, github.logs[int(asked.path.rpartition("/")[2])], {"Content-Type": "text/plain"})

    with loopback(github.answer) as http, loopback(stored) as store:
        github.http, github.log_store = http, store.url
        yield github, store
