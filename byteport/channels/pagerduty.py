"""PagerDuty, Events API v2: an incident is an alert there, taken and resolved as it is taken and ended here.

The alert's `dedup_key` is what `find` is elsewhere: sending an event twice is one alert, so a retry after a lost answer
needs no question. `find` therefore answers nothing, and `send` may be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from byteport.model.base import Json
from byteport.records.delivery import Delivery, Message, Receipt

PREFIX = "byteport/"
LONGEST_KEY, LONGEST_SUMMARY, LONGEST_DETAILS = 255, 1024, 200_000
SEVERITY = {"critical": "critical", "high": "error", "warning": "warning", "info": "info"}
DETAILS = ("classification", "confidence", "manual_commands", "timeline", "plan", "verdicts")


class Events(Protocol):
    """Raises Transient, Permanent or Denied."""

    def send(self, action: str, dedup_key: str, event: Mapping[str, Any]) -> str: ...


@dataclass(frozen=True)
class PagerDuty:
    """One integration of one service."""

    events: Events
    client_url: str = ""
    name: str = "pagerduty"
    askable: bool = False

    def send(self, delivery: Delivery) -> Receipt:
        """Trigger, acknowledge or resolve. What adds to nothing that was told here has nothing to take or to end; and
        what other open incidents stand on too is not resolved for one of them."""
        kind, key = delivery.message.kind, key_of(delivery)
        if kind in ("resolution", "acknowledgement"):
            if not delivery.repeat_of or (kind == "resolution" and not delivery.closes):
                return Receipt(reference=key)
            return Receipt(reference=self.events.send("resolve" if kind == "resolution" else "acknowledge", key, {}))
        return Receipt(reference=self.events.send("trigger", key, self._event(delivery.message, delivery.incident)))

    def find(self, delivery: Delivery) -> Receipt | None:
        return None

    def _event(self, message: Message, incident: str) -> Json:
        slug, _, matter = message.title.partition(": ")
        summary = f"{message.title}: {message.text}" if message.text else message.title
        event: Json = {
            "payload": {
                "summary": " ".join(summary.split())[:LONGEST_SUMMARY],
                "source": (matter.rpartition(" ")[0] or matter or "byteport")[:LONGEST_SUMMARY],
                "severity": SEVERITY.get(message.severity, "error"),
                "group": slug,
                "class": str(message.bundle.get("classification") or message.kind),
                "custom_details": details(message, incident),
            },
            "client": "BytePort",
        }
        if message.link.startswith(("http://", "https://")):
            event["links"] = [{"href": message.link, "text": "Incident in BytePort"}]
            event["client_url"] = message.link
        return event


def key_of(delivery: Delivery) -> str:
    """Of the alert that it adds to, else the incident's own; what concerns no incident goes by its matter."""
    matter = delivery.incident or delivery.message.dedup_key
    return (delivery.repeat_of or f"{PREFIX}{matter}")[:LONGEST_KEY]


def details(message: Message, incident: str) -> Json:
    """The summary's fields and what helps at once; as much of it as an event may hold."""
    told: Json = {"incident": incident, "dry_run": message.dry_run, **message.fields}
    for name in DETAILS:
        value = message.bundle.get(name)
        if value in (None, "", [], {}):
            continue
        if len(json.dumps({**told, name: value}, default=str)) > LONGEST_DETAILS:
            told["cut"] = "the whole is in the console"
            break
        told[name] = value
    return told
