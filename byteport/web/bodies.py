"""Request bodies, bounded: nothing larger than 1 MiB is ever held."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from byteport.web.answers import Refused

LARGEST = 1024 * 1024
DEEPEST = 32


async def body_of(request: Request) -> bytes:
    """The body; 413 as soon as it is known to be over the limit, whatever its header says."""
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal():
        raise Refused(400, "malformed", "Content-Length must be a number")
    if int(stated) > LARGEST:
        raise too_large()
    told = bytearray()
    try:
        async for chunk in request.stream():
            told += chunk
            if len(told) > LARGEST:
                raise too_large()
    except ClientDisconnect:
        raise Refused(400, "malformed", "the body ended early") from None
    return bytes(told)


def too_large() -> Refused:
    return Refused(413, "too_large", f"at most {LARGEST} bytes", {"Connection": "close"})


def json_of(body: bytes) -> dict[str, Any]:
    """The body as one JSON object; 422 otherwise."""
    try:
        told = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as wrong:
        why = f"line {wrong.lineno}, column {wrong.colno}" if isinstance(wrong, json.JSONDecodeError) else "unreadable"
        raise Refused(422, "invalid", f"body: one JSON object in UTF-8 ({why})") from None
    if not isinstance(told, dict):
        raise Refused(422, "invalid", "body: one JSON object")
    if _depth(told) > DEEPEST:
        raise Refused(422, "invalid", f"body: nested at most {DEEPEST} deep")
    return told


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _depth(value: object, at: int = 1) -> int:
    """How deep it is nested; stops counting just beyond what is allowed."""
    if at > DEEPEST or not isinstance(value, dict | list):
        return at
    members = value.values() if isinstance(value, dict) else value
    return max((_depth(member, at + 1) for member in members), default=at)
