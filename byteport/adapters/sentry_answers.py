"""What Sentry answers, in our words. Texts of events are written by whoever caused an error: they are clipped, and what
may be somebody's (quoted values, keys of rows, addresses) is struck out; local variables and users are never read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from byteport.errors import Permanent
from byteport.model.facts.application import DeployMark, ErrorException, ErrorIssue, StackTrace
from byteport.redaction import redact_text

MOST_EXCEPTIONS, MOST_FRAMES, LONGEST = 5, 12, 500
_LITERALS = (
    (re.compile(r"'(?:[^'\\\n]|\\.|'')*'"), "'?'"),
    (re.compile(r"=\([^)\n]*\)"), "=(?)"),
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"), "[address]"),
    (re.compile(r"(?<![\w.:-])\d{6,}(?![\w.-])"), "?"),
)


def words_of(told: object, longest: int = LONGEST) -> str:
    """A text of an event without literals, addresses and secrets, on one line."""
    text = redact_text(str(told or "")[: 4 * longest])
    for pattern, instead in _LITERALS:
        text = pattern.sub(instead, text)
    return " ".join(text.split())[:longest]


def issue_of(told: Mapping[str, Any]) -> ErrorIssue:
    """An issue as lists and its own page have it. Raises Permanent for another form."""
    regressed = _regression(told)
    began = told.get("firstRelease") if regressed is None else None
    try:
        return ErrorIssue(
            id=str(told["id"]), short_id=told.get("shortId") or "", title=words_of(told.get("title")),
            culprit=words_of(told.get("culprit"), 300), level=told.get("level") or "",
            project=(told.get("project") or {}).get("slug") or "", permalink=told.get("permalink") or "",
            status=told.get("status") or "", substatus=told.get("substatus") or "",
            event_count=int(told.get("count") or 0), affected_users=int(told.get("userCount") or 0),
            first_seen=told.get("firstSeen"), last_seen=told.get("lastSeen"),
            regressed_at=regressed[0] if regressed else None,
            began_release=regressed[1] if regressed else version_of(began),
        )  # fmt: skip
    except (KeyError, ValueError, AttributeError, ValidationError) as wrong:
        raise Permanent(f"sentry: an issue of a form that is not known here: {type(wrong).__name__}") from None


def _regression(told: Mapping[str, Any]) -> tuple[datetime, str] | None:
    """The newest time that it came back after it had been resolved, and the release that it came with."""
    found: list[tuple[datetime, str]] = []
    for one in told.get("activity") or []:
        if isinstance(one, dict) and one.get("type") == "set_regression":
            data = one.get("data")
            release = data.get("version") if isinstance(data, dict) else ""
            found.append((moment_of(one.get("dateCreated")), str(release or "")))
    return max(found, default=None)


def event_of(told: Mapping[str, Any]) -> StackTrace:
    """Its latest event. Raises Permanent for another form."""
    try:
        return StackTrace(
            event=str(told.get("eventID") or told["id"]),
            at=moment_of(told["dateCreated"]) if told.get("dateCreated") else None,
            release=version_of(told.get("release")) or _tag(told, "release"),
            environment=_tag(told, "environment"),
            message=words_of(told.get("message") or told.get("title")),
            exceptions=tuple(_exceptions(told))[:MOST_EXCEPTIONS],
        )
    except (KeyError, TypeError, AttributeError, ValidationError) as wrong:
        raise Permanent(f"sentry: an event of a form that is not known here: {type(wrong).__name__}") from None


def _exceptions(told: Mapping[str, Any]) -> Iterator[ErrorException]:
    """Sentry lists the cause first; the one that was caught in the end stands last and is told first."""
    for entry in told.get("entries") or []:
        if not isinstance(entry, dict) or entry.get("type") != "exception":
            continue
        for one in reversed((entry.get("data") or {}).get("values") or []):
            frames = ((one.get("stacktrace") or {}).get("frames") or [])[-MOST_FRAMES:]
            yield ErrorException(
                type=words_of(one.get("type"), 200), value=words_of(one.get("value")), frames=tuple(map(_frame, frames))
            )


def _frame(told: Mapping[str, Any]) -> str:
    place = told.get("module") or told.get("filename") or "?"
    return words_of(f"{place}:{told.get('function') or '?'}", 200)


def deploy_of(told: Mapping[str, Any], release: str, commit: str = "") -> DeployMark:
    """A deploy that somebody told Sentry of. Raises Permanent for another form."""
    started, finished = told.get("dateStarted"), told.get("dateFinished")
    if not finished:
        raise Permanent("sentry: a deploy without its date")
    return DeployMark(
        release=release, environment=str(told.get("environment") or ""), commit=commit,
        started=moment_of(started) if started else None, finished=moment_of(finished),
    )  # fmt: skip


def commit_of(release: Mapping[str, Any]) -> str:
    """The newest commit of a release, where it is known."""
    last = release.get("lastCommit")
    return str(last.get("id") or "")[:64] if isinstance(last, dict) else str(release.get("ref") or "")[:64]


def version_of(told: object) -> str:
    """A release is told as an object, by older APIs as its name alone."""
    named = told.get("version") if isinstance(told, dict) else told
    return str(named or "")[:250]


def moment_of(told: object) -> datetime:
    """Raises Permanent for what is no date with its zone."""
    try:
        at = datetime.fromisoformat(str(told))
    except ValueError:
        raise Permanent("sentry: a date of a form that is not known here") from None
    if at.tzinfo is None:
        raise Permanent("sentry: a date without its time zone")
    return at


def _tag(told: Mapping[str, Any], name: str) -> str:
    for tag in told.get("tags") or []:
        if isinstance(tag, dict) and tag.get("key") == name:
            return str(tag.get("value") or "")[:250]
    return ""
