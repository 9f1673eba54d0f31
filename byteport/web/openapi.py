"""The API as OpenAPI 3.1, written from what the endpoints take."""

from __future__ import annotations

from typing import Any

from byteport import __version__
from byteport.model.signal import Signal

_ERRORS = {
    "401": "no token, or a wrong one",
    "404": "unknown",
    "413": "over 1 MiB",
    "422": "a field is wrong; `field` and `expected` say which and how",
    "429": "too much is waiting; Retry-After says when",
    "503": "the ledger is out of reach; nothing was stored",
}
_WHY = {"type": "string", "minLength": 1, "maxLength": 500}


def described() -> dict[str, Any]:
    """The whole document."""
    schema = Signal.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = schema.pop("$defs", {})
    person = {"why": _WHY, "who": _WHY, "runbook": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "BytePort", "version": __version__},
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Signal": schema, **parts},
        },
        "paths": {
            "/api/v1/signals": _post("Take a signal in", "202", {"$ref": "#/components/schemas/Signal"}),
            "/api/v1/incidents": _get("Incidents, newest first", "open", "limit", "before"),
            "/api/v1/incidents/{id}": _get("One incident with all its rows"),
            "/api/v1/incidents/{id}/events": _get("Its journal", "after"),
            "/api/v1/incidents/{id}/explanation": _get("Why, why not, and what would change it"),
            "/api/v1/incidents/{id}/postmortem": _get("Its story, once it has ended", "format"),
            "/api/v1/silences": _get("Silences that hold"),
            "/api/v1/storms": _get("Storms, and how their incidents stand"),
            "/api/v1/pollers": _get("Sources that are asked, and when each was last heard"),
            "/api/v1/runbooks": _get("The installed runbooks"),
            "/api/v1/runbooks/{slug}": _get("One runbook, read off its page"),
            "/api/v1/guards": _get("Budgets in use, locks, pauses"),
            "/api/v1/pause": _post("Pause everything, or one runbook", "201", _object(person, "why", "who")),
            "/api/v1/resume": _post("End pauses", "200", _object({**person, "why": _WHY}, "who")),
        },
    }


def _answers(good: str) -> dict[str, Any]:
    return {good: {"description": "done"}, **{code: {"description": text} for code, text in _ERRORS.items()}}


def _get(summary: str, *queries: str) -> dict[str, Any]:
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in queries]
    return {"get": {"summary": summary, "parameters": parameters, "responses": _answers("200")}}


def _post(summary: str, good: str, body: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": body}}
    return {"post": {"summary": summary, "requestBody": {"content": content}, "responses": _answers(good)}}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}
