"""GitHub's webhooks: `workflow_run`, `deployment_status` and `check_suite`, signed with X-Hub-Signature-256.

Documented under "Webhook events and payloads". GitHub does not date its messages and does not repeat them by itself; a
person may have one sent again, which has the same identity here. Only what has ended badly is told. Another run that
ends well says nothing of the one that failed, so nothing is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from byteport.errors import BadSignal
from byteport.model.alert import Alert
from byteport.model.base import Json
from byteport.model.signal import Severity
from byteport.sources.incoming import (
    Heard,
    Incoming,
    Source,
    attempt,
    by_hmac,
    id_of,
    labels,
    moment,
    not_later,
    part,
    struck,
    text,
)  # fmt: skip

NAME = "github"
SIGNATURE = "X-Hub-Signature-256"
FAILED = frozenset(("failure", "timed_out", "startup_failure"))


def verify(incoming: Incoming, secret: str, _window: float) -> None:
    """By its signature; GitHub dates nothing."""
    by_hmac(incoming.body, secret, incoming.header(SIGNATURE), SIGNATURE)


def parse(payload: Json, incoming: Incoming) -> Sequence[Heard]:
    """At most one alert: a run, a deployment or a check suite that has ended badly."""
    readers = {"workflow_run": _workflow_run, "deployment_status": _deployment, "check_suite": _check_suite}
    reader = readers.get(incoming.header("X-GitHub-Event"))
    heard = attempt(lambda: reader(payload, incoming)) if reader is not None else None
    return (heard,) if heard is not None else ()


def _workflow_run(payload: Json, incoming: Incoming) -> Alert | None:
    run = part(payload, "workflow_run")
    if payload.get("action") != "completed" or text(run.get("conclusion")) not in FAILED:
        return None
    if not isinstance(run.get("id"), int):
        raise BadSignal("workflow_run.id", "the run's number")
    told = {
        **of_repository(payload),
        "conclusion": run["conclusion"], "workflow": run.get("name"), "workflow_id": run.get("workflow_id"),
        "workflow_path": text(run.get("path")).partition("@")[0], "run_id": run["id"],
        "run_attempt": run.get("run_attempt") or 1, "run_number": run.get("run_number"), "event": run.get("event"),
        "branch": run.get("head_branch"), "head_sha": run.get("head_sha"), "actor": _login(run.get("actor")),
        "run_url": run.get("html_url"),
    }  # fmt: skip
    on_default = run.get("head_branch") == told.get("default_branch")
    identity = (told["repository"], run["id"], told["run_attempt"], run["conclusion"])
    summary = f"{run.get('name')} #{run.get('run_number')} on {run.get('head_branch')}: {run['conclusion']}"
    return _alert("workflow_run", payload, incoming, {**told, "on_default_branch": on_default},
                  identity, summary, run.get("updated_at"))  # fmt: skip


def _deployment(payload: Json, incoming: Incoming) -> Alert | None:
    status, deployment = part(payload, "deployment_status"), part(payload, "deployment")
    if status.get("state") not in ("failure", "error"):
        return None
    run = payload.get("workflow_run")
    told = {
        **of_repository(payload),
        "state": status["state"], "environment": status.get("environment") or deployment.get("environment"),
        "deployment_id": deployment.get("id"), "ref": deployment.get("ref"), "head_sha": deployment.get("sha"),
        "task": deployment.get("task"), "actor": _login(status.get("creator")),
        "run_id": run.get("id") if isinstance(run, Mapping) else None,
        "run_attempt": (run.get("run_attempt") or 1) if isinstance(run, Mapping) else None,
    }  # fmt: skip
    identity = (told["repository"], "deployment", deployment.get("id"), status.get("id"))
    summary = f"deployment of {told['ref']} to {told['environment']}: {status['state']}"
    return _alert("deployment_status", payload, incoming, told, identity, summary, status.get("updated_at"))


def _check_suite(payload: Json, incoming: Incoming) -> Alert | None:
    suite = part(payload, "check_suite")
    if payload.get("action") != "completed" or text(suite.get("conclusion")) not in FAILED:
        return None
    app = suite.get("app")
    told = {
        **of_repository(payload),
        "conclusion": suite["conclusion"], "check_suite_id": suite.get("id"), "branch": suite.get("head_branch"),
        "head_sha": suite.get("head_sha"), "app": app.get("slug") if isinstance(app, Mapping) else None,
    }  # fmt: skip
    identity = (told["repository"], "check_suite", suite.get("id"), suite["conclusion"], suite.get("updated_at"))
    summary = f"checks of {told['app'] or 'an app'} on {suite.get('head_branch')}: {suite['conclusion']}"
    return _alert("check_suite", payload, incoming, told, identity, summary, suite.get("updated_at"))


def of_repository(payload: Json) -> dict[str, Any]:
    """owner, repo, repository and its default branch; BadSignal where the payload names none."""
    repository = part(payload, "repository")
    owner, _, repo = text(repository.get("full_name"), 256).partition("/")
    if not owner or not repo:
        raise BadSignal("repository.full_name", "owner/name")
    return {
        "owner": owner, "repo": repo, "repository": f"{owner}/{repo}",
        "default_branch": repository.get("default_branch"),
    }  # fmt: skip


def _login(value: object) -> str:
    return text(value.get("login"), 100) if isinstance(value, Mapping) else ""


def _alert(
    name: str, payload: Json, incoming: Incoming, told: dict[str, Any], identity: Sequence[object], summary: str,
    ended: object,
) -> Alert:  # fmt: skip
    return Alert(
        source=NAME,
        name=name,
        fired_at=not_later(moment(ended, f"{name}.updated_at"), incoming),
        severity=Severity.HIGH,
        summary=text(summary),
        labels=labels(**told),
        event_id=id_of(NAME, *identity),
        raw=struck({name: payload[name]}),
    )


SOURCE = Source(NAME, verify, parse, "GitHub")
