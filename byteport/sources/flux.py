"""Flux's notification-controller: one event of one object, by a provider of type generic or generic-hmac.

The form is `Event` of its API (eventing v1), documented under "Notification Controller, Events" and "Providers":
generic-hmac signs the body as `X-Signature: sha256=<hex>`; generic carries the secret in an Authorization header of the
provider's secretRef.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from byteport.errors import BadSignal
from byteport.model.alert import Alert, severity_of
from byteport.model.base import Json
from byteport.model.signal import Severity
from byteport.sources.incoming import (
    Heard,
    Incoming,
    Source,
    attempt,
    by_hmac,
    by_password,
    id_of,
    labels,
    moment,
    not_later,
    part,
    struck,
    text,
)  # fmt: skip

NAME = "flux"
SIGNATURE = "X-Signature"
ENDED = frozenset(
    (
        "ReconciliationSucceeded", "Succeeded", "UpgradeSucceeded", "InstallSucceeded", "RollbackSucceeded",
        "TestSucceeded", "HealthCheckSucceeded",
    )
)  # fmt: skip


def verify(incoming: Incoming, secret: str, _window: float) -> None:
    """By its signature where it has one, else by the secret; Flux does not date what it signs."""
    if given := incoming.header(SIGNATURE):
        by_hmac(incoming.body, secret, given, SIGNATURE)
    else:
        by_password(incoming, secret)


def parse(payload: Json, incoming: Incoming) -> Sequence[Heard]:
    """An error of an object, or that it is well again; other events are of no interest."""
    heard = attempt(lambda: _alert(payload, incoming))
    return (heard,) if heard is not None else ()


def _alert(payload: Json, incoming: Incoming) -> Alert | None:
    of, reason = part(payload, "involvedObject"), text(payload.get("reason"), 200)
    kind, name = text(of.get("kind"), 100), text(of.get("name"), 253)
    if not kind or not name:
        raise BadSignal("involvedObject", "an object with its kind and name")
    failed = payload.get("severity") == "error"
    if not failed and reason not in ENDED:
        return None
    given = payload.get("metadata")
    more = given if isinstance(given, Mapping) else {}
    revision = next((value for key, value in more.items() if str(key).rpartition("/")[2] == "revision"), None)
    told = labels(
        kind=kind, name=name, namespace=of.get("namespace"), reason=reason, revision=revision,
        controller=payload.get("reportingController"), cluster=more.get("cluster"), deployment=more.get("deployment"),
        environment=more.get("env") or more.get("environment"),
    )  # fmt: skip
    at = moment(payload.get("timestamp"), "timestamp")
    return Alert(
        source=NAME,
        name=f"flux_{kind.lower()}",
        fired_at=not_later(at, incoming),
        resolved=not failed,
        severity=severity_of(payload.get("severity"), Severity.HIGH),
        summary=text(payload.get("message") or reason),
        labels=told,
        event_id=id_of(kind, of.get("namespace"), name, reason, revision, at.isoformat()),
        raw=struck(payload),
    )


SOURCE = Source(NAME, verify, parse, "Flux notification-controller")
