"""Argo CD notifications by a webhook whose body is a template of yours; the one read here is in `docs/sources.md`.

Argo CD's notification services do not sign: the secret goes into the service's `Authorization: Bearer` header.
"""

from __future__ import annotations

from collections.abc import Sequence

from byteport.errors import BadSignal
from byteport.model.alert import Alert
from byteport.model.base import Json
from byteport.model.signal import Severity
from byteport.sources.incoming import (
    Heard,
    Incoming,
    Source,
    attempt,
    by_password,
    id_of,
    labels,
    moment,
    not_later,
    struck,
    text,
    window_of,
)  # fmt: skip

NAME = "argocd"
ENDED = frozenset(("on-deployed", "on-sync-succeeded", "on-health-recovered"))
FIRING = {
    "on-sync-failed": ("sync_failed", Severity.HIGH),
    "on-sync-status-unknown": ("sync_unknown", Severity.WARNING),
    "on-health-degraded": ("health_degraded", Severity.CRITICAL),
}


def parse(payload: Json, incoming: Incoming) -> Sequence[Heard]:
    """A failed sync, a degraded health, or that an application is well again; other triggers are of no interest."""
    heard = attempt(lambda: _alert(payload, incoming))
    return (heard,) if heard is not None else ()


def _alert(payload: Json, incoming: Incoming) -> Alert | None:
    trigger, app = text(payload.get("trigger"), 100), text(payload.get("app"), 256)
    if not trigger:
        raise BadSignal("trigger", "the trigger's name, as the template in docs/sources.md gives it")
    if not app:
        raise BadSignal("app", "the application's name")
    if trigger not in ENDED and trigger not in FIRING:
        return None
    name, severity = FIRING.get(trigger, ("application", Severity.INFO))
    told = labels(
        app=app, trigger=trigger, project=payload.get("project"), app_namespace=payload.get("app_namespace"),
        namespace=payload.get("namespace"), server=payload.get("server"), cluster=payload.get("cluster"),
        sync_status=payload.get("sync_status"), health_status=payload.get("health_status"),
        phase=payload.get("phase"), revision=payload.get("revision"), repository=payload.get("repository"),
        deployment=payload.get("deployment"),
    )  # fmt: skip
    resolved = trigger in ENDED
    parts = (app, trigger, payload.get("revision"), payload.get("at"))
    return Alert(
        source=NAME,
        name=f"argocd_{name}",
        fired_at=not_later(moment(payload["at"], "at"), incoming) if payload.get("at") else incoming.at,
        resolved=resolved,
        severity=severity,
        summary=text(payload.get("message") or f"{app}: {trigger.removeprefix('on-').replace('-', ' ')}"),
        labels=told,
        event_id=id_of(*parts) if payload.get("at") else id_of(*parts, window_of(incoming)),
        raw=struck(payload),
    )


SOURCE = Source(NAME, by_password, parse, "Argo CD notifications")
