"""GitHub's REST API over plain HTTP: what is read of runs, and the one write that a runbook has.

Documented under "REST API endpoints for GitHub Actions". A log is a redirect to a storage of another origin, which is
followed by hand and without the token.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import yaml
from pydantic import ValidationError

from byteport.adapters.http_api import PATIENCE, HttpApi, retry_after, said
from byteport.errors import BytePortError, Denied, Permanent, Transient
from byteport.model.facts.github import Job, JobLog, JobStep, Repository, Token, WorkflowRun

URL = "https://api.github.com"
VERSION = "2022-11-28"
PAGE = 100
MOST_PAGES = 10
LARGEST_LOG = 1024 * 1024
TOO_MUCH = frozenset(("workflow",))  # a classic token's right to change workflow files
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def api(token: str, url: str = URL, patience: timedelta = PATIENCE) -> HttpApi:
    """For a token of a user, an app's installation, or a fine-grained one."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": VERSION,
    }
    return HttpApi("github", url, headers, patience, refused=refused)


def refused(status: int, headers: httpx.Headers, body: bytes) -> BytePortError | None:
    """A rate limit, primary or secondary, is 403 or 429 and has an end; another 403 names what is missing."""
    if status not in (403, 429):
        return Denied("github: the token is not accepted") if status == 401 else None
    if (wait := _limited(headers, body)) is not None:
        return Transient(f"github: rate limit: {said(body)}", retry_after=wait)
    needed = headers.get("x-accepted-github-permissions", "")
    more = f"; it needs {needed[:200]}" if needed else ""
    return Denied(f"github: {said(body)}{more}")


def _limited(headers: httpx.Headers, body: bytes) -> timedelta | None:
    if (named := retry_after(headers)) is not None:
        return named
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        left = datetime.fromtimestamp(int(reset[:11]), UTC) - datetime.now(UTC)
        return min(max(left, timedelta(seconds=1)), timedelta(hours=1))
    return timedelta(minutes=1) if b"rate limit" in body.lower() else None


def path_of(repository: str, *parts: object) -> str:
    """`/repos/OWNER/NAME/…`, each part quoted: nothing in a name may change where a request goes. Raises Permanent."""
    owner, _, name = repository.partition("/")
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)) or {owner, name} & {".", ".."}:
        raise Permanent(f"github: owner/name is expected, not {repository[:100]!r}")
    told = [str(part) for part in parts]
    if any(part in ("", ".", "..") for part in told):
        raise Permanent("github: a name is empty or no name")
    return "/".join(["/repos", quote(owner, safe=""), quote(name, safe=""), *(quote(part, safe="") for part in told)])


@dataclass(frozen=True)
class GitHubReader:
    """Reads; it has no way to change anything."""

    api: HttpApi

    def run(self, repository: str, run_id: int, attempt: int | None = None) -> WorkflowRun:
        more = () if attempt is None else ("attempts", attempt)
        return _run(self.api.ask("GET", path_of(repository, "actions", "runs", run_id) + _tail(*more)).json())

    def runs(
        self, repository: str, *, workflow: str = "", status: str = "", branch: str = "", event: str = "",
        created_since: datetime | None = None, most: int = PAGE,
    ) -> Sequence[WorkflowRun]:  # fmt: skip
        where = ("actions", "workflows", workflow, "runs") if workflow else ("actions", "runs")
        since = f">={created_since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if created_since else ""
        params = {"status": status, "branch": branch, "event": event, "created": since}
        asked = {name: value for name, value in params.items() if value}
        return [_run(told) for told in self._pages(path_of(repository, *where), "workflow_runs", asked, most)]

    def jobs(self, repository: str, run_id: int, attempt: int) -> Sequence[Job]:
        path = path_of(repository, "actions", "runs", run_id, "attempts", attempt, "jobs")
        return [_job(told) for told in self._pages(path, "jobs", {}, PAGE * MOST_PAGES)]

    def log(self, repository: str, job: Job) -> JobLog:
        answer = self.api.ask("GET", path_of(repository, "actions", "jobs", job.id, "logs"))
        text, cut = (
            self._stored(answer.headers.get("location", "")) if answer.status in (301, 302, 307) else _end(answer.body)
        )
        return JobLog(job=job.id, name=job.name, text=text, cut=cut)

    def _stored(self, location: str) -> tuple[str, bool]:
        """From the storage that the log lies in, which gets nothing of ours."""
        if urlsplit(location).scheme not in ("http", "https"):
            raise Permanent("github: the log is nowhere that can be asked")
        store = HttpApi(
            "github's log storage", "", {}, self.api.patience, largest=64 * LARGEST_LOG, verify=self.api.verify
        )
        return _end(store.ask("GET", location).body)

    def repository(self, repository: str) -> Repository:
        told = self.api.ask("GET", path_of(repository)).json()
        return Repository(
            full_name=told["full_name"], default_branch=told["default_branch"], private=bool(told.get("private", True))
        )

    def dispatch_inputs(self, repository: str, workflow_path: str, ref: str) -> Sequence[str] | None:
        where = (
            path_of(repository, "contents") + "/" + "/".join(quote(part, safe="") for part in workflow_path.split("/"))
        )
        told = self.api.ask("GET", where, params={"ref": ref}).json()
        try:
            file = yaml.safe_load(base64.b64decode(told["content"]))
        except (KeyError, TypeError, ValueError, yaml.YAMLError) as wrong:
            raise Permanent(f"github: {workflow_path} cannot be read: {type(wrong).__name__}") from None
        return _inputs(file)

    def token(self) -> Token:
        answer = self.api.ask("GET", "/rate_limit")
        scopes = answer.headers.get("x-oauth-scopes")
        told = () if scopes is None else tuple(scope.strip() for scope in scopes.split(",") if scope.strip())
        return Token(classic=scopes is not None, scopes=told)

    def _pages(self, path: str, field: str, params: Mapping[str, str], most: int) -> Iterator[Mapping[str, Any]]:
        """As many pages as `most` takes, at most ten."""
        seen = 0
        for page in range(1, MOST_PAGES + 1):
            size = min(PAGE, most - seen)
            told = self.api.ask("GET", path, params={**params, "per_page": str(size), "page": str(page)}).json()
            found = told.get(field, []) if isinstance(told, dict) else []
            yield from found
            seen += len(found)
            if len(found) < size or seen >= most:
                return


@dataclass(frozen=True)
class GitHubDispatcher:
    """Starts workflows; with the token of the acting identity (Actions: write)."""

    api: HttpApi

    def dispatch(
        self, repository: str, workflow: str, ref: str, inputs: Mapping[str, str], optional: Mapping[str, str]
    ) -> int | None:
        reader = GitHubReader(self.api)
        if TOO_MUCH & set(reader.token().scopes):
            raise Denied("github: the dispatching token may change workflows (scope `workflow`): use one that may not")
        declared = reader.dispatch_inputs(repository, f".github/workflows/{workflow}", ref)
        if declared is None:
            raise Permanent(f"github: {workflow} has no workflow_dispatch on {ref}")
        given = {**inputs, **{name: value for name, value in optional.items() if name in declared}}
        body = {"ref": ref, "inputs": given, "return_run_details": True}
        answer = self.api.ask("POST", path_of(repository, "actions", "workflows", workflow, "dispatches"), json=body)
        if answer.status == 204 or not answer.body:
            return None
        told = answer.json()
        run = told.get("workflow_run_id") if isinstance(told, dict) else None
        return run if isinstance(run, int) else None


def _tail(*parts: object) -> str:
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def _end(body: bytes) -> tuple[str, bool]:
    """The last MiB, from the beginning of a line."""
    if len(body) <= LARGEST_LOG:
        return body.decode("utf-8", "replace"), False
    return body[-LARGEST_LOG:].partition(b"\n")[2].decode("utf-8", "replace"), True


def _run(told: Mapping[str, Any]) -> WorkflowRun:
    try:
        return WorkflowRun(
            id=told["id"], attempt=told.get("run_attempt") or 1, number=told.get("run_number") or 0,
            workflow_id=told.get("workflow_id") or 0, name=told.get("name") or "",
            path=str(told.get("path") or "").partition("@")[0], event=told.get("event") or "",
            branch=told.get("head_branch") or "", head_sha=told.get("head_sha") or "", status=told.get("status") or "",
            conclusion=told.get("conclusion") or "", actor=(told.get("actor") or {}).get("login", ""),
            url=told.get("html_url") or "", title=told.get("display_title") or "", created_at=told["created_at"],
            updated_at=told["updated_at"],
        )  # fmt: skip
    except (KeyError, ValidationError, AttributeError) as wrong:
        raise Permanent(f"github: a run of a form that is not known here: {type(wrong).__name__}") from None


def _job(told: Mapping[str, Any]) -> Job:
    steps = [
        JobStep(
            number=step.get("number", place),
            name=step.get("name", ""),
            status=step.get("status") or "",
            conclusion=step.get("conclusion") or "",
        )
        for place, step in enumerate(told.get("steps") or [], 1)
    ]
    return Job(
        id=told["id"], name=told.get("name") or "", status=told.get("status") or "",
        conclusion=told.get("conclusion") or "", url=told.get("html_url") or "", steps=tuple(steps),
    )  # fmt: skip


def _inputs(file: object) -> Sequence[str] | None:
    """YAML 1.1 reads the key `on` as true."""
    on = file.get("on", file.get(True)) if isinstance(file, dict) else None
    if on == "workflow_dispatch" or (isinstance(on, list) and "workflow_dispatch" in on):
        return []
    if not isinstance(on, dict) or "workflow_dispatch" not in on:
        return None
    declared = (
        (on["workflow_dispatch"] or {}).get("inputs") if isinstance(on["workflow_dispatch"], dict | None) else None
    )
    return [str(name) for name in declared] if isinstance(declared, dict) else []
