"""Errors as HTTP answers: a status, and JSON that names the field and what was expected. No secret, no traceback."""

from __future__ import annotations

import traceback

import structlog
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from byteport.errors import BadInput, NotKnown, Permanent, Refusal, Transient
from byteport.redaction import redact_text

log = structlog.get_logger(__name__)
RETRY_AFTER = 5


class Refused(Exception):
    """A request that gets `status`; `error` is a word for programs, `detail` a sentence for people."""

    def __init__(self, status: int, error: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.error = error
        self.detail = detail
        self.headers = headers or {}


def problem(status: int, error: str, detail: str, headers: dict[str, str] | None = None, **more: object) -> Response:
    """One form for every refusal: {error, detail, …}."""
    return JSONResponse({"error": error, "detail": detail, **more}, status, headers)


def answer_to(wrong: Exception) -> Response:
    """What an exception of ours, or a bug, is answered with."""
    match wrong:
        case Refused():
            return problem(wrong.status, wrong.error, wrong.detail, wrong.headers)
        case ValidationError():
            field, expected = first_problem(wrong)
            return problem(422, "invalid", f"{field}: {expected}", field=field, expected=expected)
        case BadInput():
            return problem(422, "invalid", str(wrong), field=wrong.field, expected=wrong.expected)
        case Transient():
            detail = "the ledger cannot be reached; nothing was stored, send it again"
            log.warning("store out of reach", problem=redact_text(str(wrong)))
            return problem(503, "unavailable", detail, {"Retry-After": str(RETRY_AFTER)})
        case Permanent() | Refusal() | NotKnown():
            return problem(409, "refused", redact_text(str(wrong)))
        case _:
            # As text, redacted: a renderer that prints local variables would print secrets with them.
            log.error("bug in a request", traceback=redact_text("".join(traceback.format_exception(wrong))))
            return problem(500, "internal", "a bug in BytePort; the log of the web process has it")


def first_problem(wrong: ValidationError, within: str = "") -> tuple[str, str]:
    """The first wrong field and what was expected; values are never repeated."""
    line = wrong.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in (within, *line["loc"]) if str(part)) or "body"
    if line["type"] == "extra_forbidden":
        return field, "not a field of this object"
    return field, line["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
