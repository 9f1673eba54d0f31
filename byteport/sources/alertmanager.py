"""Prometheus Alertmanager's webhook, version 4: a group of alerts in one message.

The form is documented under `webhook_config` in Alertmanager's configuration reference. It does not sign: give it
`http_config.authorization.credentials` (or basic auth) with the secret. Alertmanager repeats a message after 5xx and
429 and after nothing else, so 4xx is only for what can never be taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from byteport.errors import BadSignal
from byteport.model.alert import Alert, severity_of
from byteport.model.base import Json
from byteport.sources.incoming import (
    Heard,
    Incoming,
    Source,
    by_password,
    members,
    moment,
    not_later,
    one_by_one,
    struck,
    text,
    window_of,
)  # fmt: skip

NAME = "alertmanager"


def parse(payload: Json, incoming: Incoming) -> Sequence[Heard]:
    """Every alert of the group. One that fires is told anew every five minutes at most; an end is told once."""
    if str(payload.get("version", "4")) != "4":
        raise BadSignal("version", "4, the form that Alertmanager has sent since 0.5")
    return one_by_one(members(payload, "alerts"), "alerts", lambda told: _alert(told, payload, incoming))


def _alert(told: Mapping[str, Any], payload: Json, incoming: Incoming) -> Alert:
    given = told.get("labels")
    if not isinstance(given, Mapping) or not given.get("alertname"):
        raise BadSignal("labels.alertname", "the alert's name")
    annotations = told.get("annotations")
    notes = annotations if isinstance(annotations, Mapping) else {}
    resolved = told.get("status") == "resolved"
    if told.get("status") not in ("firing", "resolved"):
        raise BadSignal("status", "firing or resolved")
    began = moment(told.get("startsAt"), "startsAt")
    at = moment(told.get("endsAt"), "endsAt") if resolved else began
    identity = f"{text(told.get('fingerprint'), 64)}@{began.isoformat()}"
    return Alert(
        source=NAME,
        name=text(given["alertname"], 512),
        fired_at=not_later(at, incoming),
        resolved=resolved,
        severity=severity_of(given.get("severity")),
        summary=text(notes.get("summary") or notes.get("description") or notes.get("message")),
        labels={str(name): str(value) for name, value in given.items() if name != "alertname"},
        condition=text(told.get("fingerprint"), 64),
        event_id=identity if resolved else f"{identity}/{window_of(incoming)}",
        raw=struck({**told, "groupKey": payload.get("groupKey"), "receiver": payload.get("receiver")}),
    )


SOURCE = Source(NAME, by_password, parse, "Prometheus Alertmanager")
