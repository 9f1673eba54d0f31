"""One way to serve every request: the body bounded, the visitor known, the work in a thread, errors in one form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from byteport.web.answers import Refused, answer_to
from byteport.web.bodies import body_of, json_of
from byteport.web.door import Door, Visitor

Endpoint = Callable[["Call"], Response]
Served = Callable[[Request], Awaitable[Response]]

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_AS_SENT = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


@dataclass(frozen=True)
class Call:
    """One request with its body read. `visitor` has been let in, or the endpoint needs nobody."""

    request: Request
    body: bytes
    visitor: Visitor = field(default_factory=lambda: Visitor(""))

    @property
    def path(self) -> dict[str, Any]:
        return self.request.path_params

    @property
    def query(self) -> dict[str, str]:
        return dict(self.request.query_params)

    def json(self) -> dict[str, Any]:
        return json_of(self.body)

    def form(self) -> dict[str, str]:
        """A form's fields, the last of each; 422 where it is no form."""
        try:
            told = parse_qs(self.body.decode(), keep_blank_values=True, max_num_fields=64)
        except ValueError:
            raise Refused(422, "invalid", "body: a form in UTF-8 with at most 64 fields") from None
        return {name: values[-1] for name, values in told.items()}

    def number(self, name: str, default: int, largest: int) -> int:
        """A query parameter as a number from 0 to `largest`; 422 otherwise."""
        given = self.query.get(name, str(default))
        if not (given.isascii() and given.isdecimal() and len(given) < 12 and int(given) <= largest):
            raise Refused(422, "invalid", f"{name}: a whole number from 0 to {largest}")
        return int(given)


def for_anybody(endpoint: Endpoint) -> Served:
    """No visitor is asked for: health, login, and webhooks, which carry a signature instead."""
    return _served(endpoint, lambda _request: Visitor(""))


def for_anybody_at_once(endpoint: Callable[[Call], Awaitable[Response]]) -> Served:
    """The same for an endpoint that waits in the event loop and takes no thread of its own; it must never block."""

    async def served(request: Request) -> Response:
        try:
            return await endpoint(Call(request, await body_of(request)))
        except Exception as wrong:  # noqa: BLE001 - answered and logged there
            return answer_to(wrong)

    return served


def for_programs(door: Door, endpoint: Endpoint) -> Served:
    """With the token as bearer, or a person's session for reading."""

    def admitted(request: Request) -> Visitor:
        reads = request.method in ("GET", "HEAD") and "authorization" not in request.headers
        return (door.person(request) if reads else None) or door.program(request)

    return _served(endpoint, admitted)


def for_people(door: Door, endpoint: Endpoint) -> Served:
    """With a session; others are sent to the login. A form must be one that this session was given."""

    async def served(request: Request) -> Response:
        visitor = door.person(request)
        if visitor is None:
            wanted = request.url.path if request.method in ("GET", "HEAD") else "/"
            return RedirectResponse(f"/login?next={quote(wanted)}", 303)
        return await _answered(request, endpoint, visitor, door if request.method == "POST" else None)

    return served


def _served(endpoint: Endpoint, admit: Callable[[Request], Visitor]) -> Served:
    async def served(request: Request) -> Response:
        try:
            visitor = admit(request)
        except Exception as wrong:  # noqa: BLE001 - answered and logged there
            return answer_to(wrong)
        return await _answered(request, endpoint, visitor, None)

    return served


async def _answered(request: Request, endpoint: Endpoint, visitor: Visitor, form_of: Door | None) -> Response:
    """The endpoint is synchronous and runs in a thread, as every store's client here does."""
    try:
        body = await body_of(request) if request.method == "POST" else b""
        call = Call(request, body, visitor)
        if form_of is not None and not form_of.is_our_form(visitor, call.form().get("form_token", "")):
            raise Refused(403, "foreign_form", "this form was not given out to this session; load the page again")
        return await run_in_threadpool(endpoint, call)
    except Exception as wrong:  # noqa: BLE001 - answered and logged there
        return answer_to(wrong)


class Hardened:
    """Puts the security headers on every answer, whoever gave it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message.get("headers", [])}
                more = [line for line in _AS_SENT if line[0] not in given]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        await self.app(scope, receive, sent)
