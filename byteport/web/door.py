"""Who may come in: a token for programs, a signed cookie for people who have shown it, proof that a form is ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from byteport.web.answers import Refused

COOKIE = "byteport_session"
LASTS = 12 * 3600
MOST_FAILURES = 10
FAILURES_WITHIN = 60.0


@dataclass(frozen=True)
class Visitor:
    """Somebody who has shown the token. `form_token` proves that a form was given out to this very session."""

    who: str
    form_token: str = ""


@dataclass(frozen=True)
class Door:
    """`token` is asked anew each time, so that a rotated one counts at once and ends every session."""

    token: Callable[[], str]
    clock: Callable[[], float] = time.time
    failures: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_FAILURES))

    def fits(self, given: str) -> bool:
        """Whether this is the token; after ten wrong ones in a minute nobody is asked for a while (429)."""
        now = self.clock()
        if len(self.failures) == MOST_FAILURES and now - self.failures[0] < FAILURES_WITHIN:
            raise Refused(429, "slow_down", "too many wrong tokens", {"Retry-After": str(int(FAILURES_WITHIN))})
        right = hmac.compare_digest(given.encode(), self.token().encode())
        if not right:
            self.failures.append(now)
        return right

    def program(self, request: Request) -> Visitor:
        """Whoever carries the token in `Authorization: Bearer …`; 401 otherwise."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.fits(given.strip()):
            raise Refused(401, "unauthorized", "Authorization: Bearer <token>", {"WWW-Authenticate": "Bearer"})
        return Visitor(who="api")

    def person(self, request: Request) -> Visitor | None:
        """Whoever the cookie names; None where it is missing, forged, of another token, or too old."""
        told, _, mac = request.cookies.get(COOKIE, "").rpartition(".")
        if not told or not hmac.compare_digest(mac.encode(), self._mac("session", told).encode()):
            return None
        try:
            session = json.loads(base64.urlsafe_b64decode(told))
            until, who = float(session["until"]), str(session["who"])
        except (ValueError, KeyError, TypeError):
            return None
        return Visitor(who, self._mac("form", told)) if self.clock() < until else None

    def let_in(self, who: str) -> str:
        """A cookie's value for a new session."""
        session = {"who": who, "until": self.clock() + LASTS, "nonce": secrets.token_hex(8)}
        told = base64.urlsafe_b64encode(json.dumps(session).encode()).decode()
        return f"{told}.{self._mac('session', told)}"

    def is_our_form(self, visitor: Visitor, given: str) -> bool:
        return bool(visitor.form_token) and hmac.compare_digest(given.encode(), visitor.form_token.encode())

    def _mac(self, use: str, text: str) -> str:
        key = hmac.new(self.token().encode(), f"byteport {use}".encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def clean_name(given: str) -> str:
    """A person's name as it may stand in the journal: one line, at most 80 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in given).split())[:80] or "console"


def local_path(given: str) -> str:
    """Where to go after the login: a path of this console and nothing else."""
    fits = given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable()
    return given if fits and "\\" not in given else "/"
