"""How the page on application errors tells people. Of users only their number is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from shlex import join, quote
from typing import Any

from byteport.grammar.story import Story
from byteport.model.facts.application import ErrorIssue, EventRate, Releases, StackTrace, Upstreams
from byteport.runbooks.application.application_error_evidence import LEAST_EVENTS, ErrorEvidence
from byteport.runbooks.application.error_patterns import DATABASE, MEMORY, UPSTREAM

CONTENT = (
    "short_id", "title", "permalink", "event_count", "affected_users", "classification_reason", "guidance",
)  # fmt: skip
PATTERNS = {"db_connection": DATABASE, "oom": MEMORY, "upstream_5xx": UPSTREAM}
GUIDANCE = {
    "deploy_correlation": "The running release brought it. Roll back, or switch off what is new in it; then fix "
    "forward with a test that shows the error.",
    "db_connection": "The application cannot get connections of its database: look at the database's own incident, "
    "its slots and its pooler before the application.",
    "oom": "A process ran out of memory. Find out whether it leaks (memory that grows with time at equal load) before "
    "replicas are added: more of them cure a crowd, not a leak.",
    "upstream_5xx": "A service behind the application fails: look there first. A breaker that opens early and a "
    "fallback keep its failure from becoming this application's.",
}
NOT_KNOWN = "not known"


def why(kind: str) -> Callable[[ErrorEvidence], str]:
    """What speaks for a class."""
    return correlated if kind == "deploy_correlation" else lambda e: line(e, kind)


def correlated(e: ErrorEvidence) -> str:
    running, began = e.deploy_sha.running, e.issue.began_at
    if running is None or began is None:
        return NOT_KNOWN
    minutes = (began - running.began).total_seconds() / 60
    how = "came back" if e.issue.regressed_at == began else "was seen first"
    return f"{e.issue.short_id} {how} {minutes:.0f} min after {running.release} went to {running.environment}"


def line(e: ErrorEvidence, kind: str) -> str:
    """The line of the latest event that shows it."""
    return (e.line_of(PATTERNS[kind]) or NOT_KNOWN)[:300]


def upstreams_in_words(e: ErrorEvidence) -> str:
    found = e.circuit_breakers if e.knows("circuit_breakers") else None
    if found is None:
        return f"{line(e, 'upstream_5xx')}; no metrics tell of its breaker"
    opened = ", ".join(f"{one.upstream} is {one.state}" for one in found.open_breakers) or "no breaker is open"
    slow = ", ".join(f"{one.upstream} {one.seconds:.2g} s" for one in found.latencies[:5]) or "no latency is known"
    return f"{line(e, 'upstream_5xx')}; {opened}; {slow}"


def anew(story: Story) -> str:
    """A regression, and each doubling of the events in the window, is told again inside the 24 h."""
    found, rate = story.fact("issue"), story.fact("rates")
    back = found.regressed_at if isinstance(found, ErrorIssue) else None
    events = rate.events if isinstance(rate, EventRate) else 0
    doubled = int(math.log2(max(events, LEAST_EVENTS) / LEAST_EVENTS))
    return f"regressed {back:%Y-%m-%dT%H:%M}, doubled {doubled}" if back is not None else f"doubled {doubled}"


def summary(story: Story) -> dict[str, Any]:
    """The link is the incident's; Sentry's own stands beside it."""
    found, rate = story.fact("issue"), story.fact("rates")
    one = found if isinstance(found, ErrorIssue) else ErrorIssue(id="")
    releases = story.fact("deploy_sha")
    return {
        "project": story.evidence.target.coordinates.get("project", ""),
        "class": story.diagnosis.name if story.diagnosis else NOT_KNOWN,
        "events": f"{rate.events} in {rate.seconds // 60} min" if isinstance(rate, EventRate) else one.event_count,
        "correlated": _release(story, releases),
        "action": _action(story),
        "link": story.link,
        "issue": one.permalink,
    }


def _release(story: Story, releases: object) -> str:
    if not isinstance(releases, Releases) or releases.running is None:
        return NOT_KNOWN if not isinstance(releases, Releases) else "no deploy is known"
    correlated = story.diagnosis is not None and story.diagnosis.name == "deploy_correlation"
    return f"deploy of {releases.running.release}" if correlated else "no"


def _action(story: Story) -> str:
    words = {"roll_back": "rollback", "scale_up": "scale-up"}
    told = [f"{words.get(step.move, step.move)}: {step.how}" for step in story.performed]
    return "; ".join(told) or "nothing was written"


def bundle(story: Story) -> dict[str, Any]:
    found, trace, rate = story.fact("issue"), story.fact("stack_trace"), story.fact("rates")
    one = found if isinstance(found, ErrorIssue) else ErrorIssue(id="")
    releases, upstreams = story.fact("deploy_sha"), story.fact("circuit_breakers")
    return {
        "short_id": one.short_id,
        "title": one.title,
        "permalink": one.permalink,
        "event_count": one.event_count,
        "affected_users": one.affected_users,
        "first_seen": one.first_seen.isoformat() if one.first_seen else None,
        "regressed_at": one.regressed_at.isoformat() if one.regressed_at else None,
        "classification_reason": story.diagnosis.because if story.diagnosis else None,
        "guidance": permanent_fix(story),
        "events_in_window": rate.events if isinstance(rate, EventRate) else NOT_KNOWN,
        "usual_a_minute": round(rate.baseline, 2) if isinstance(rate, EventRate) else NOT_KNOWN,
        "stack_trace": list(trace.lines) if isinstance(trace, StackTrace) else NOT_KNOWN,
        "frames": list(trace.exceptions[0].frames) if isinstance(trace, StackTrace) and trace.exceptions else [],
        "running_release": releases.running.release if isinstance(releases, Releases) and releases.running else None,
        "previous_release": releases.previous.release if isinstance(releases, Releases) and releases.previous else None,
        "open_breakers": [b.upstream for b in upstreams.open_breakers] if isinstance(upstreams, Upstreams) else [],
        "latencies": {u.upstream: u.seconds for u in upstreams.latencies} if isinstance(upstreams, Upstreams) else {},
        "units": [item for step in story.performed for item in (step.effect.items if step.effect else ())],
    }


def commands(story: Story) -> tuple[str, ...]:
    """What a person would type: the command of the class where one is configured, and where to see what ours did."""
    e, name = story.evidence, story.diagnosis.name if story.diagnosis else ""
    option = {"deploy_correlation": "rollbackCommand", "oom": "scaleUpCommand"}.get(name, "")
    words, host = tuple(e.options.get(option) or ()) if option else (), e.options.get("commandHost") or "COMMAND_HOST"
    told = [f"ssh {quote(str(host))} {quote(join(map(str, words)))}"] if words else []
    units = [item for step in story.performed for item in (step.effect.items if step.effect else ())]
    told += [f"ssh {quote(str(host))} journalctl --user --unit={quote(unit)}" for unit in units]
    return tuple(told)


def permanent_fix(story: Story) -> str:
    name = story.diagnosis.name if story.diagnosis else ""
    return GUIDANCE.get(name, "Nothing about it is known here: read its stack trace, and who changed what it names.")
