"""Datadog's monitors by its webhooks integration, whose payload is a template of yours; `docs/sources.md` has it.

Documented under "Webhooks" with the variables of the template. Datadog does not sign: the secret goes into the custom
header `Authorization`. It sends again after a 5xx and after nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from byteport.errors import BadSignal
from byteport.model.alert import Alert, severity_of
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
    not_later,
    struck,
    text,
    window_of,
)  # fmt: skip

NAME = "datadog"
MOST_TAGS = 48
FIRING = {
    "triggered": Severity.HIGH, "re-triggered": Severity.HIGH, "renotify": Severity.HIGH,
    "warn": Severity.WARNING, "re-warn": Severity.WARNING, "no data": Severity.WARNING, "re-no data": Severity.WARNING,
}  # fmt: skip
ENDED = frozenset(("recovered", "resolved"))
_TAG_NAME = re.compile(r"[A-Za-z_][\w./-]{0,99}")


def parse(payload: Json, incoming: Incoming) -> Sequence[Heard]:
    """A monitor's transition; those that are none of firing or recovered are of no interest."""
    heard = attempt(lambda: _alert(payload, incoming))
    return (heard,) if heard is not None else ()


def _alert(payload: Json, incoming: Incoming) -> Alert | None:
    transition, monitor = text(payload.get("transition"), 40).strip().lower(), text(payload.get("monitor_id"), 64)
    if not transition:
        raise BadSignal("transition", "$ALERT_TRANSITION, as the template in docs/sources.md gives it")
    if not monitor:
        raise BadSignal("monitor_id", "$ALERT_ID")
    if transition not in FIRING and transition not in ENDED:
        return None
    tags = _tags(payload.get("tags"))
    name = tags.get("alertname") or text(payload.get("monitor") or payload.get("title"), 512) or f"monitor {monitor}"
    cycle = text(payload.get("cycle_key") or payload.get("aggregation_key"), 64)
    told = {
        **tags,
        **labels(
            monitor_id=monitor, metric=payload.get("metric"), host=payload.get("host") or tags.get("host"),
            scope=payload.get("scope"), transition=transition, link=payload.get("link"),
        ),
    }  # fmt: skip
    resolved = transition in ENDED
    identity = (monitor, cycle or payload.get("scope"), transition)
    return Alert(
        source=NAME,
        name=" ".join(name.split()) or monitor,
        fired_at=not_later(_at(payload.get("date"), incoming), incoming),
        resolved=resolved,
        severity=severity_of(payload.get("priority"), FIRING.get(transition, Severity.HIGH)),
        summary=text(payload.get("title")),
        labels=told,
        condition=cycle and f"{monitor}/{cycle}",
        event_id=id_of(*identity) if resolved else id_of(*identity, window_of(incoming)),
        raw=struck(payload),
    )


def _tags(told: object) -> dict[str, str]:
    """`a:b,c` as labels; the first of a name counts, and one without a value is `true`."""
    found: dict[str, str] = {}
    for tag in text(told, 8000).split(",") if isinstance(told, str) else ():
        name, _, value = tag.strip().partition(":")
        if _TAG_NAME.fullmatch(name) and len(found) < MOST_TAGS:
            found.setdefault(name, text(value) or "true")
    return found


def _at(told: object, incoming: Incoming) -> datetime:
    """$DATE is in milliseconds, $DATE_POSIX in seconds."""
    digits = text(told, 20)
    if not re.fullmatch(r"\d{9,14}", digits):
        return incoming.at
    return datetime.fromtimestamp(int(digits) / (1000 if len(digits) > 11 else 1), UTC)


SOURCE = Source(NAME, by_password, parse, "Datadog monitors")
