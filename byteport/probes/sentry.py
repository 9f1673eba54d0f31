"""Looks at an issue of Sentry's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from byteport.errors import Denied, Permanent
from byteport.grammar.evidence import probe, probe_with_options
from byteport.model.facts.application import ErrorIssue, EventRate, Releases, StackTrace
from byteport.model.target import Target
from byteport.ports import Readers

SENTRY = "sentry"


def issue_id(target: Target, readers: Readers) -> str:
    """The issue's id; raises Permanent where the target does not say, Denied for another organisation's."""
    told = target.coordinates
    if told.get("org") and told["org"] != readers.errors.org:
        raise Denied(f"sentry: the issue is of {told['org']}, and the login of {readers.errors.org}")
    if not told.get("issue_id", "").isdigit():
        raise Permanent("the target needs the coordinates org, project and issue_id")
    return told["issue_id"]


@probe(over=SENTRY)
def issue(target: Target, readers: Readers) -> ErrorIssue:
    """The issue: its names, its counts, and when it began."""
    return readers.errors.issue(issue_id(target, readers))


@probe_with_options(over=SENTRY)
def rates(target: Target, readers: Readers, options: Mapping[str, Any]) -> EventRate:
    """Its events in the window, and its usual rate."""
    window = timedelta(seconds=float(options["windowSeconds"]))
    return readers.errors.event_rate(issue_id(target, readers), window)


@probe(over=SENTRY)
def stack_trace(target: Target, readers: Readers) -> StackTrace:
    """Its latest event."""
    return readers.errors.latest_event(issue_id(target, readers))


@probe_with_options(over=SENTRY)
def deploy_sha(target: Target, readers: Readers, options: Mapping[str, Any]) -> Releases:
    """What was deployed last, by Sentry's releases and deploys."""
    project = target.coordinates.get("project", "")
    if not project:
        raise Permanent("the target needs the coordinate project")
    issue_id(target, readers)
    return readers.errors.releases(project, str(options["environment"]))
