"""Google's login and Compute Engine's REST API: bounded in time, never repeating by itself, its errors in our words.

The login is google-auth's: a file that is named, else application default credentials (the machine's own service
account, workload identity, GOOGLE_APPLICATION_CREDENTIALS). No key of Google is in BytePort's configuration.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from byteport.adapters.http_api import AGENT, HttpApi, retry_after
from byteport.errors import BytePortError, Denied, NotFound, Permanent, Transient
from byteport.redaction import redact_text

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPES = ("https://www.googleapis.com/auth/compute",)
PATIENCE = timedelta(seconds=6)
# "If you exceed a quota for Compute Engine, Google Cloud typically returns an HTTP 403 QUOTA_EXCEEDED status code … If
# the quota is a rate quota, then 403 RATE_LIMIT_EXCEEDED" (Cloud quotas, "Troubleshoot quota errors").
TOO_FAST = frozenset(("rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"))
OVER_QUOTA = frozenset(("quotaExceeded", "QUOTA_EXCEEDED"))


@dataclass(frozen=True)
class ComputeApi:
    """Paths begin behind `/compute/v1`. A token is shared by all threads, and fetched anew when it has run out."""

    url: str
    credentials_file: Path | None = None
    patience: timedelta = PATIENCE
    _login: list[Any] = field(default_factory=list, repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ask(self, method: str, path: str, right: str, **more: Any) -> Mapping[str, Any]:
        """`right` is the permission that a refusal lacks. Raises Transient, Denied, NotFound or Permanent."""
        api = HttpApi("gcp", f"{self.url.rstrip('/')}/compute/v1", {}, self.patience, refused=refused)
        headers = self._authorized()
        try:
            told = api.ask(method, path, headers=headers, **more).json()
        except Denied as no:
            raise Denied(f"{no}; it needs {right}") from no
        if not isinstance(told, dict):
            raise Transient("gcp: the answer was no object")
        return told

    def _authorized(self) -> dict[str, str]:
        with self._turn, _translated():
            if not self._login:
                self._login.append(login(self.credentials_file, self._fetch))
            credentials: Credentials = self._login[0]
            if not credentials.valid:
                credentials.refresh(self._fetch)  # type: ignore[no-untyped-call]
            headers = {"authorization": f"Bearer {credentials.token}"}
            if quota := getattr(credentials, "quota_project_id", None):
                headers["x-goog-user-project"] = quota
        return headers

    def _fetch(
        self, url: str, method: str = "GET", body: Any = None, headers: Any = None, timeout: Any = None, **_: Any
    ) -> Fetched:
        """What google-auth asks for, by the client and within the time that everything else is asked by."""
        from google.auth.exceptions import TransportError

        most = self.patience.total_seconds()
        try:
            with httpx.Client(timeout=min(timeout or most, most), headers={"user-agent": AGENT}) as client:
                answer = client.request(method, url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise TransportError(str(problem) or type(problem).__name__) from problem  # type: ignore[no-untyped-call]
        return Fetched(answer.status_code, dict(answer.headers), answer.content)


@dataclass(frozen=True)
class Fetched:
    """An answer in the form that google-auth reads."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def login(file: Path | None, fetch: Any) -> Any:
    """Whose rights are used. A file is a service account's, or a workload identity's that reads its token from a file
    or an address; one that would run a program is refused."""
    import google.auth
    from google.auth import identity_pool
    from google.oauth2 import service_account

    if file is None:
        found, _project = google.auth.default(scopes=SCOPES, request=fetch)
        return found
    told = json.loads(file.read_text("utf-8"))
    kind = told.get("type") if isinstance(told, dict) else None
    if kind == "service_account":
        return service_account.Credentials.from_service_account_info(told, scopes=SCOPES)  # type: ignore[no-untyped-call]
    if kind == "external_account" and "executable" not in told.get("credential_source", {}):
        return identity_pool.Credentials.from_info(told, scopes=SCOPES)  # type: ignore[no-untyped-call]
    raise Permanent(f"gcp: {file} is no file of a service account or a workload identity")


@contextmanager
def _translated() -> Iterator[None]:
    """google-auth's errors in our words; none of them quotes a file."""
    try:
        from google.auth import exceptions as of_google
    except ImportError:
        raise Permanent("google-auth is not installed: pip install 'byteport[gcp]'") from None
    try:
        yield
    except of_google.TransportError as problem:
        raise Transient(f"gcp: no login: {_said(problem)}") from problem
    except of_google.GoogleAuthError as problem:
        if problem.retryable:
            raise Transient(f"gcp: no login: {_said(problem)}") from problem
        raise Denied(f"gcp: no login: {_said(problem)}") from problem
    except OSError as problem:
        raise Denied(f"gcp: no login: {problem.strerror or 'a file that cannot be read'}") from problem
    except (ValueError, TypeError, AttributeError, KeyError):
        raise Denied("gcp: no login: the file's content is none of Google's") from None


def _said(problem: Exception) -> str:
    return redact_text(" ".join(str(problem).split()))[:300]


def refused(status: int, headers: httpx.Headers, body: bytes) -> BytePortError:
    """By the reason that Google names: a rate ends by itself, a quota does not."""
    reasons, message = _error(body)
    words = f"gcp: HTTP {status}: {redact_text(message)[:300]}"
    if reasons & TOO_FAST:
        return Transient(words, retry_after=retry_after(headers))
    if reasons & OVER_QUOTA or status == 413:
        return Permanent(f"{words} (a quota of the project)")
    if status in (408, 429) or status >= 500:
        return Transient(words, retry_after=retry_after(headers))
    kinds: dict[int, type[Permanent]] = {401: Denied, 403: Denied, 404: NotFound, 410: NotFound}
    return kinds.get(status, Permanent)(words)


def _error(body: bytes) -> tuple[frozenset[str], str]:
    """Its reasons and its message; nothing of what is not in Google's form."""
    try:
        told = json.loads(body)["error"]
        parts = [*told.get("errors", ()), *told.get("details", ())]
        reasons = frozenset(str(one.get("reason", "")) for one in parts if isinstance(one, dict))
        return reasons, " ".join(str(told.get("message", "")).split())
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return frozenset(), "not in Google's words"
