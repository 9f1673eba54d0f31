"""boto3's clients, bounded in time and never repeating by themselves, and its errors in our words.

They log in by boto3's own chain (role, environment, profile); no key of AWS is in BytePort's configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from byteport.adapters.http_api import AGENT
from byteport.errors import BytePortError, Denied, NotFound, Permanent, Transient
from byteport.redaction import redact_text

THROTTLED = frozenset((
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "RequestLimitExceeded", "TooManyRequestsException", "LimitExceeded", "SlowDown", "RequestTimeout",
))  # fmt: skip
REFUSED = frozenset((
    "AccessDenied", "AccessDeniedException", "AuthFailure", "ExpiredToken", "ExpiredTokenException",
    "InvalidClientTokenId", "InvalidSignatureException", "MissingAuthenticationToken", "OptInRequired",
    "SignatureDoesNotMatch", "UnauthorizedOperation", "UnrecognizedClientException",
))  # fmt: skip


def clients(
    services: Sequence[str], region: str, patience: timedelta, profile: str = "", endpoint_url: str | None = None
) -> Mapping[str, Any]:
    """One for each service, of a session of their own: clients may be shared between threads, a session may not.
    Raises Permanent where boto3 is not installed, or knows no such profile."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise Permanent("boto3 is not installed: pip install 'byteport[aws]'") from None
    seconds = patience.total_seconds()
    config = Config(
        connect_timeout=seconds, read_timeout=seconds, user_agent_extra=AGENT,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )  # fmt: skip
    with translated("a login"):
        session = boto3.Session(region_name=region, profile_name=profile or None)
        return {name: session.client(name, endpoint_url=endpoint_url, config=config) for name in services}


def preload() -> None:
    """Import what `clients` will; nothing where it is not installed."""
    with suppress(ImportError):
        import botocore.client  # noqa: F401


@contextmanager
def translated(right: str) -> Iterator[None]:
    """boto3's errors in our words; `right` is what a refusal lacks."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as problem:
        raise _answered(problem.response, right) from problem
    except BotoCoreError as problem:
        raise _unanswered(problem, right) from problem


def _answered(response: Mapping[str, Any], right: str) -> BytePortError:
    code, message = (str(response.get("Error", {}).get(name, "")) for name in ("Code", "Message"))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    words = f"aws: {code}: {redact_text(message)[:300]}"
    if code in THROTTLED or status == 429 or status >= 500:
        return Transient(words)
    if code in REFUSED or status in (401, 403):
        return Denied(f"{words}; it needs {right}")
    return NotFound(words) if code.startswith("ResourceNotFound") else Permanent(words)


def _unanswered(problem: Exception, right: str) -> BytePortError:
    """Of a request that got no answer, or never left."""
    from botocore import exceptions as of_boto

    words = f"aws: {redact_text(str(problem))[:300]}"
    if isinstance(
        problem,
        of_boto.NoCredentialsError | of_boto.PartialCredentialsError | of_boto.CredentialRetrievalError
        | of_boto.TokenRetrievalError | of_boto.SSOError,
    ):  # fmt: skip
        return Denied(f"{words}; it needs {right}")
    if isinstance(problem, of_boto.ProfileNotFound | of_boto.ParamValidationError | of_boto.UnknownServiceError):
        return Permanent(words)
    return Transient(words)
