"""Sentry, asked: issues whose errors come so much faster than they use to that somebody should look.

A spike: in the window there were twenty events or more, and as many a minute as `multiplier` times the issue's own mean
over 24 h (one a minute at least). It is told once a day; again where the issue has regressed, and where the spike has
doubled since.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from byteport.errors import BytePortError
from byteport.model.alert import Alert, severity_of
from byteport.model.facts.application import ErrorIssue, ErrorRates
from byteport.model.signal import Severity
from byteport.sources.incoming import Heard, Malformed, id_of, labels, text

SOURCE = "sentry-poller"
LEAST_EVENTS = 20
MOST_ISSUES = 25  # each costs one question; those with the latest events come first
DAY_MINUTES = 24 * 60


class SentryReading(Protocol):
    """Raises Transient, Denied or Permanent."""

    def unresolved(self, projects: Sequence[str], since: datetime) -> Sequence[ErrorIssue]: ...
    def rates(self, issue: str) -> ErrorRates: ...


@dataclass(frozen=True)
class SpikeRules:
    """`window` in seconds; `multiplier` of the baseline from which it is a spike."""

    window: float = 300.0
    multiplier: float = 2.0


@dataclass(frozen=True)
class Spike:
    """`rate` and `baseline` in events a minute."""

    events: int
    rate: float
    baseline: float

    def is_one(self, rules: SpikeRules) -> bool:
        return self.events >= LEAST_EVENTS and self.rate >= rules.multiplier * self.baseline

    @property
    def doublings(self) -> int:
        """How often it has doubled beyond the least that is told of."""
        return int(math.log2(max(self.events, LEAST_EVENTS) / LEAST_EVENTS))


def spike_of(rates: ErrorRates, rules: SpikeRules, now: datetime) -> Spike:
    """The events of a window that ends about now, held against the mean of the whole day. Pure.

    Buckets do not end now: the newest is not full, so the window lies across one bucket more than it is long. The most
    that certainly fell into one window counts: the full buckets before the newest, the newest with all but the first of
    them, or all of them in proportion.
    """
    wanted = max(1, round(rules.window / rates.seconds))
    seen = [bucket for bucket in rates.buckets if bucket.at <= now][-(wanted + 1) :]
    recent = [bucket for bucket in seen if now - bucket.at <= timedelta(seconds=rules.window + rates.seconds)]
    counts = [bucket.count for bucket in recent]
    covered = max((now - recent[0].at).total_seconds(), rules.window) if recent else rules.window
    events = max(sum(counts[:wanted][-wanted:]), sum(counts[-wanted:]), round(sum(counts) * rules.window / covered))
    total = sum(bucket.count for bucket in rates.buckets)
    return Spike(events, events * 60 / rules.window, max(1.0, total / DAY_MINUTES))


@dataclass(frozen=True)
class SentryIssuesPoller:
    """`projects` empty: all of the organisation. It remembers nothing: a spike is known by its event id."""

    sentry: SentryReading
    org: str
    projects: Sequence[str]
    rules: SpikeRules
    period: timedelta
    timeout: timedelta
    name: str = "sentry"

    def ask(self, now: datetime) -> Sequence[Heard]:
        issues = self.sentry.unresolved(self.projects, now - timedelta(seconds=self.rules.window))
        told: list[Heard] = []
        for issue in [one for one in issues if one.event_count >= LEAST_EVENTS][:MOST_ISSUES]:
            try:
                spike = spike_of(self.sentry.rates(issue.id), self.rules, now)
            except BytePortError as problem:
                told.append(Malformed(issue.short_id or issue.id, f"its counts ({problem})"))
                continue
            if spike.is_one(self.rules):
                told.append(alert_of(issue, spike, self.org, now))
        return told


def alert_of(issue: ErrorIssue, spike: Spike, org: str, now: datetime) -> Alert:
    """With the labels that the webhook's alerts have, so that one route serves both."""
    began = issue.last_seen if issue.substatus == "regressed" else None
    return Alert(
        source=SOURCE,
        name="sentry_spike",
        fired_at=now,
        severity=severity_of(issue.level, Severity.HIGH),
        summary=text(f"{issue.short_id}: {spike.rate:.1f} a minute, usually {spike.baseline:.1f}: {issue.title}"),
        value=round(spike.rate, 2),
        labels=labels(
            org=org, project=issue.project, issue_id=issue.id, short_id=issue.short_id, title=issue.title,
            culprit=issue.culprit, level=issue.level, permalink=issue.permalink, substatus=issue.substatus,
            event_count=issue.event_count, affected_users=issue.affected_users,
            first_seen=issue.first_seen.isoformat() if issue.first_seen else None, events_in_window=spike.events,
            events_per_minute=f"{spike.rate:.2f}", baseline_per_minute=f"{spike.baseline:.2f}",
        ),
        condition=f"{org}/{issue.id}",
        event_id=id_of(org, issue.id, now.date(), spike.doublings, began.date() if began else ""),
    )  # fmt: skip
