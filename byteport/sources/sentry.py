"""Sentry's integration platform: event alerts, issues and metric alerts, signed with the integration's client secret.

Documented under "Integration Platform, Webhooks": `Sentry-Hook-Signature` is hex HMAC-SHA256 of the body,
`Sentry-Hook-Timestamp` unix seconds, `Sentry-Hook-Resource` what the message is about. Of users only numbers are read.
"""

from __future__ import annotations

import re
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
    id_of,
    labels,
    moment,
    not_later,
    not_stale,
    part,
    struck,
    text,
    window_of,
)  # fmt: skip

NAME = "sentry"
SIGNATURE, TIMESTAMP, RESOURCE = "Sentry-Hook-Signature", "Sentry-Hook-Timestamp", "Sentry-Hook-Resource"
_EVENT_URL = re.compile(r"/projects/(?P<org>[\w-]+)/(?P<project>[\w-]+)/events/")
_ISSUE_URL = re.compile(r"/organizations/(?P<org>[\w-]+)/issues/|^https?://(?P<sub>[\w-]+)\.[^/]+/issues/")
REGRESSED = frozenset(("created", "unresolved"))


def verify(incoming: Incoming, secret: str, window: float) -> None:
    """By its signature, and its date."""
    by_hmac(incoming.body, secret, incoming.header(SIGNATURE), SIGNATURE)
    not_stale(incoming.header(TIMESTAMP).partition(".")[0], incoming.now, window, TIMESTAMP)


def parse(payload: Json, incoming: Incoming) -> Sequence[Heard]:
    """At most one alert; installations, comments and the like are of no interest."""
    readers = {"event_alert": _event_alert, "issue": _issue, "metric_alert": _metric_alert}
    reader = readers.get(incoming.header(RESOURCE))
    heard = attempt(lambda: reader(payload, incoming)) if reader is not None else None
    return (heard,) if heard is not None else ()


def _event_alert(payload: Json, incoming: Incoming) -> Alert | None:
    """An alert rule of the project has fired on an event."""
    if payload.get("action") != "triggered":
        return None
    data = part(payload, "data")
    event = part(data, "event", "data.event.")
    found = _EVENT_URL.search(text(event.get("url")))
    if found is None or not event.get("issue_id"):
        raise BadSignal("data.event", "an event with its url and issue_id")
    told = labels(
        org=found["org"], project=found["project"], issue_id=event["issue_id"], title=event.get("title"),
        culprit=event.get("culprit"), level=event.get("level"), release=event.get("release"),
        environment=event.get("environment") or _tag(event, "environment"), permalink=event.get("web_url"),
        triggered_rule=data.get("triggered_rule"),
    )  # fmt: skip
    at = moment(event["datetime"], "data.event.datetime") if event.get("datetime") else incoming.at
    identity = id_of("event_alert", found["org"], event["issue_id"], data.get("triggered_rule"), event.get("event_id"))
    return Alert(
        source=NAME, name="sentry_event_alert", fired_at=not_later(at, incoming),
        severity=severity_of(event.get("level")),
        summary=text(event.get("title")), labels=told, event_id=identity, raw=struck({"triggered": told}),
    )  # fmt: skip


def _issue(payload: Json, incoming: Incoming) -> Alert | None:
    """An issue is new, has come back, or was resolved by somebody."""
    action = payload.get("action")
    if action not in (*REGRESSED, "resolved"):
        return None
    data = part(payload, "data")
    issue = part(data, "issue", "data.issue.")
    project = issue.get("project")
    of = project if isinstance(project, Mapping) else {}
    if not issue.get("id"):
        raise BadSignal("data.issue.id", "the issue's id")
    told = labels(
        org=_org(issue), project=of.get("slug"), issue_id=issue["id"], short_id=issue.get("shortId"),
        title=issue.get("title"), culprit=issue.get("culprit"), level=issue.get("level"), action=action,
        permalink=issue.get("permalink") or issue.get("web_url"), first_seen=issue.get("firstSeen"),
        event_count=issue.get("count"), affected_users=issue.get("userCount"), substatus=issue.get("substatus"),
    )  # fmt: skip
    return Alert(
        source=NAME, name="sentry_issue", fired_at=incoming.at, resolved=action == "resolved",
        severity=severity_of(issue.get("level")), summary=text(issue.get("title")), labels=told,
        event_id=id_of("issue", told.get("org"), issue["id"], action, issue.get("count"), window_of(incoming)),
        raw=struck({"issue": told}),
    )  # fmt: skip


def _metric_alert(payload: Json, incoming: Incoming) -> Alert | None:
    action = payload.get("action")
    if action not in ("critical", "warning", "resolved"):
        return None
    data = part(payload, "data")
    alert = part(data, "metric_alert", "data.metric_alert.")
    rule, projects = alert.get("alert_rule"), alert.get("projects")
    told = labels(
        rule=rule.get("name") if isinstance(rule, Mapping) else None,
        project=projects[0] if isinstance(projects, list) and projects else None,
        metric_alert_id=alert.get("identifier") or alert.get("id"), action=action, permalink=data.get("web_url"),
    )  # fmt: skip
    return Alert(
        source=NAME, name="sentry_metric_alert", fired_at=incoming.at, resolved=action == "resolved",
        severity=severity_of(action, Severity.HIGH), summary=text(data.get("description_title")), labels=told,
        condition=text(alert.get("id"), 64), event_id=id_of("metric", alert.get("id"), action, window_of(incoming)),
        raw=struck({"metric_alert": told, "description": data.get("description_text")}),
    )  # fmt: skip


def _org(issue: Mapping[str, object]) -> str:
    """Only the address of the issue names its organisation."""
    found = _ISSUE_URL.search(text(issue.get("permalink") or issue.get("web_url")))
    return (found["org"] or found["sub"] or "") if found is not None else ""


def _tag(event: Mapping[str, object], name: str) -> object:
    tags = event.get("tags")
    pairs = [tag for tag in tags if isinstance(tag, list) and len(tag) == 2] if isinstance(tags, list) else []
    return next((value for key, value in pairs if key == name), None)


SOURCE = Source(NAME, verify, parse, "Sentry")
