"""Grafana's webhook contact point: a group of alerts, much as Alertmanager sends it.

Documented under "Configure webhook notifications". Since Grafana 12 it can sign: hex HMAC-SHA256 of the body, or of
`<timestamp>:<body>` where a timestamp header is configured; name the headers X-Grafana-Alerting-Signature (its default)
and X-Grafana-Alerting-Timestamp. Otherwise the secret is its Authorization credentials, or the basic password.
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
    by_hmac,
    by_password,
    members,
    moment,
    not_later,
    not_stale,
    one_by_one,
    struck,
    text,
    window_of,
)  # fmt: skip

NAME = "grafana"
SIGNATURE = "X-Grafana-Alerting-Signature"
TIMESTAMP = "X-Grafana-Alerting-Timestamp"


def verify(incoming: Incoming, secret: str, window: float) -> None:
    """By its signature where it has one, with its date where it is dated; else by the secret."""
    given = incoming.header(SIGNATURE)
    if not given:
        by_password(incoming, secret)
        return
    dated = incoming.header(TIMESTAMP)
    signed = f"{dated}:".encode() + incoming.body if dated else incoming.body
    by_hmac(signed, secret, given, SIGNATURE)
    if dated:
        not_stale(dated, incoming.now, window, TIMESTAMP)


def parse(payload: Json, incoming: Incoming) -> Sequence[Heard]:
    """Every alert of the group; one that fires is told anew every five minutes at most."""
    return one_by_one(members(payload, "alerts"), "alerts", lambda told: _alert(told, payload, incoming))


def _alert(told: Mapping[str, Any], payload: Json, incoming: Incoming) -> Alert:
    given, annotations = told.get("labels"), told.get("annotations")
    if not isinstance(given, Mapping) or not given.get("alertname"):
        raise BadSignal("labels.alertname", "the alert rule's name")
    if told.get("status") not in ("firing", "resolved"):
        raise BadSignal("status", "firing or resolved")
    notes = annotations if isinstance(annotations, Mapping) else {}
    resolved = told["status"] == "resolved"
    began = moment(told.get("startsAt"), "startsAt")
    at = moment(told.get("endsAt"), "endsAt") if resolved else began
    identity = f"{text(told.get('fingerprint'), 64)}@{began.isoformat()}"
    return Alert(
        source=NAME,
        name=text(given["alertname"], 512),
        fired_at=not_later(at, incoming),
        resolved=resolved,
        severity=severity_of(given.get("severity") or given.get("priority")),
        summary=text(notes.get("summary") or notes.get("description") or told.get("valueString")),
        value=_value(told.get("values")),
        labels={str(name): str(value) for name, value in given.items() if name != "alertname"},
        condition=text(told.get("fingerprint"), 64),
        event_id=identity if resolved else f"{identity}/{window_of(incoming)}",
        raw=struck({**told, "groupKey": payload.get("groupKey"), "receiver": payload.get("receiver")}),
    )


def _value(values: object) -> float | None:
    """Grafana names each figure by its query's letter; with several of them none is the alert's own."""
    told = list(values.values()) if isinstance(values, Mapping) else []
    only = told[0] if len(told) == 1 else None
    return float(only) if isinstance(only, int | float) and not isinstance(only, bool) else None


SOURCE = Source(NAME, verify, parse, "Grafana alerting")
