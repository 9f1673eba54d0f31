"""The generic signed webhook: a signal in BytePort's own form, dated and signed by its sender.

`X-Byteport-Signature: t=<unix seconds>,v1=<hex>`, where v1 is HMAC-SHA256 over "<t>.<body>" with the shared secret.
Several v1 may stand there while a secret is being changed. Pure: it is given the time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from byteport.errors import BadSignal
from byteport.model.signal import Signal
from byteport.redaction import Redacted, redact
from byteport.sources.incoming import NotSigned

SOURCE = "generic"
HEADER = "X-Byteport-Signature"
LONGEST_HEADER = 1024
__all__ = ["HEADER", "SOURCE", "NotSigned", "parse", "sign", "verify"]
_PART = re.compile(r"^(t=\d{1,12}|v1=[0-9a-f]{64}|(?!t=|v1=)[a-z0-9]{1,8}=[^,]*)$")


def sign(body: bytes, secret: str, at: int) -> str:
    """The header's value for a body sent at `at` (unix seconds)."""
    return f"t={at},v1={_mac(body, secret, at)}"


def verify(body: bytes, header: str, secret: str, now: float, window: float) -> str:
    """This message's identity; NotSigned unless its signature is right and dated within `window` s of `now`."""
    at, given = _parts(header)
    if not secret:
        raise NotSigned("no secret is configured")
    right = _mac(body, secret, at).encode()
    if not any([hmac.compare_digest(right, one.encode()) for one in given]):  # noqa: C419 - each is compared
        raise NotSigned("wrong signature")
    if abs(now - at) > window:
        raise NotSigned(f"stale: dated {abs(now - at):.0f} s from now, at most {window:.0f} s are allowed")
    return f"v1-{right.decode()}"


def _parts(header: str) -> tuple[int, list[str]]:
    parts = [part.strip() for part in header.split(",")] if header and len(header) <= LONGEST_HEADER else []
    dates = [part[2:] for part in parts if part.startswith("t=")]
    given = [part[3:] for part in parts if part.startswith("v1=")]
    if len(dates) != 1 or not given or not all(_PART.match(part) for part in parts):
        raise NotSigned(f"{HEADER}: t=<unix seconds>,v1=<64 hex digits>")
    return int(dates[0]), given


def _mac(body: bytes, secret: str, at: int) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def parse(payload: Mapping[str, Any], now: datetime, delivery: str = "") -> Signal:
    """A signal from a payload of the form {name, target, severity, …}; raises BadSignal naming the first wrong field.

    The sender cannot name another source. `fired_at` is now where it is missing; `event_id` may be called `id`, and is
    `delivery` where there is none, so that a message sent twice is one signal.
    """
    told = dict(payload)
    raw = redact({key: value for key, value in told.items() if key != "raw"})
    told.pop("source", None)
    told.setdefault("fired_at", now.isoformat())
    if "id" in told:
        told.setdefault("event_id", told.pop("id"))
    told["event_id"] = told.get("event_id") or delivery
    try:
        signal = Signal.model_validate_json(json.dumps({**told, "source": SOURCE, "raw": raw}))
    except ValidationError as wrong:
        line = wrong.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in line["loc"]) or "body"
        expected = "not a field of a signal" if line["type"] == "extra_forbidden" else line["msg"]
        raise BadSignal(field, expected) from None
    at = min(signal.fired_at.astimezone(UTC), now)
    return signal.model_copy(update={"fired_at": at, "raw": Redacted(signal.raw)})
