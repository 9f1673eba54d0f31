"""What Sentry tells of an application's errors, in our words. Of people only numbers."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from byteport.model.base import Value


class ErrorIssue(Value):
    """An issue: errors that Sentry takes for one. `substatus` is its own word (new, regressed, ongoing, escalating)."""

    id: str
    short_id: str = ""
    title: str = ""
    culprit: str = ""
    level: str = ""
    project: str = ""
    permalink: str = ""
    status: str = ""
    substatus: str = ""
    event_count: int = 0
    affected_users: int = 0
    first_seen: AwareDatetime | None = None
    last_seen: AwareDatetime | None = None


class Bucket(Value):
    """Events counted in some seconds from `at` on."""

    at: AwareDatetime
    count: int


class ErrorRates(Value):
    """An issue's events over 24 h, in equal buckets, the oldest first."""

    seconds: int
    buckets: tuple[Bucket, ...] = Field(default=())
