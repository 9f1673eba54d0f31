"""GitHub's published OpenAPI description, pruned to the paths that BytePort asks, and what is held to it.

As a script: `openapi.py WHOLE PRUNED` writes the pruned description; `tests/install-descriptions` does it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

PRUNED = Path(__file__).parents[1] / ".venv" / ".descriptions" / "github-23.0.2.json"
PATHS = (
    "/rate_limit",
    "/repos/{owner}/{repo}",
    "/repos/{owner}/{repo}/actions/runs",
    "/repos/{owner}/{repo}/actions/runs/{run_id}",
    "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}",
    "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs",
    "/repos/{owner}/{repo}/actions/jobs/{job_id}/logs",
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs",
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches",
    "/repos/{owner}/{repo}/contents/{path}",
    "/repos/{owner}/{repo}/issues",
    "/repos/{owner}/{repo}/issues/{issue_number}",
    "/repos/{owner}/{repo}/issues/{issue_number}/comments",
)
SERVER = "http://github.test"


def pruned(whole: dict[str, Any]) -> dict[str, Any]:
    """Only our paths, and what they refer to. `nullable` without a type is left out: it means nothing in OpenAPI 3.0,
    and validators disagree about it."""
    kept = {path: whole["paths"][path] for path in PATHS}
    told: dict[str, Any] = {**whole, "paths": kept, "components": {}, "servers": [{"url": SERVER}]}
    told.pop("x-webhooks", None)
    found: dict[str, dict[str, Any]] = {}
    todo = list(_references(kept))
    while todo:
        kind, name = todo.pop()
        if name not in found.setdefault(kind, {}):
            found[kind][name] = whole["components"][kind][name]
            todo += _references(found[kind][name])
    # A range in GitHub's search syntax (`>=2026-01-01T00:00:00Z`), as its own text says; the schema says a date.
    found["parameters"]["created"]["schema"].pop("format", None)
    return _mended({**told, "components": found})


def _references(part: object) -> Iterator[tuple[str, str]]:
    yield from re.findall(r'"#/components/([^/"]+)/([^"]+)"', json.dumps(part))


def _mended(part: Any) -> Any:
    if isinstance(part, list):
        return [_mended(one) for one in part]
    if not isinstance(part, dict):
        return part
    lame = part.get("nullable") is True and "type" not in part
    return {name: _mended(one) for name, one in part.items() if not (lame and name == "nullable")}


@cache
def github() -> Any:
    """The description, ready to validate. Fails, and says what to do, where it was not fetched."""
    from openapi_core import OpenAPI

    assert PRUNED.exists(), "GitHub's description of its API is missing: run tests/install-descriptions"
    return OpenAPI.from_dict(json.loads(PRUNED.read_text("utf-8")))


def held_to_github(asked: Any, reply: Any) -> None:
    """Raises where the request, or the answer to it, is not what GitHub has published. `contents` takes a path with
    slashes, which no path template can say, so it is matched as one part."""
    from openapi_core.testing import MockRequest, MockResponse

    path = re.sub(r"(/contents/)(.+)$", lambda found: found[1] + found[2].replace("/", "%2F"), asked.raw_path)
    request = MockRequest(
        SERVER, asked.method.lower(), path, args=asked.query, data=asked.body or None,
        content_type=asked.headers.get("content-type", "application/json").partition(";")[0],
    )  # fmt: skip
    described = github()
    described.validate_request(request)
    if reply.status < 400 and reply.body is not None:
        described.validate_response(request, MockResponse(reply.content, status_code=reply.status))


if __name__ == "__main__":
    source, target = (Path(name) for name in sys.argv[1:3])
    target.write_text(json.dumps(pruned(json.loads(source.read_text("utf-8")))), "utf-8")
