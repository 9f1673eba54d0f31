"""GitHub issues: one for a matter, a comment for each repeat, closed when it has ended.

Each message leaves a marker that nobody sees in its issue or comment; `find` looks for it in the issue, or among the
issues with BytePort's label (by listing, for GitHub's search lags behind).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from byteport.channels.journal import as_markdown
from byteport.records.delivery import Delivery, Receipt

LABEL = "byteport"
LONGEST = 65_000  # GitHub takes 65,536 characters
LONGEST_TITLE = 250
LOOK_BACK = timedelta(hours=6)  # before the delivery was made: the clocks of two machines may differ
_REFERENCE = re.compile(r"[\w.-]+/[\w.-]+#(\d+)")
_CALLS = re.compile(r"(?<![\w`])([@#])(?=[\w-])")


class Issues(Protocol):
    """One repository's issues. Raises Transient, Permanent or Denied."""

    @property
    def repository(self) -> str: ...
    def create(self, title: str, body: str, labels: Sequence[str]) -> int: ...
    def comment(self, number: int, body: str) -> int: ...
    def close(self, number: int) -> None: ...
    def bodies(self, label: str, since: datetime) -> Iterable[tuple[int, str]]: ...
    def comments(self, number: int, since: datetime) -> Iterable[str]: ...


@dataclass(frozen=True)
class GitHubIssuesChannel:
    """`labels` are added to every issue, besides `byteport` and `runbook:SLUG`."""

    issues: Issues
    labels: Sequence[str] = ()
    name: str = "github_issue"
    askable: bool = True

    def send(self, delivery: Delivery) -> Receipt:
        """Open, comment, or comment and close. How something ended that was never told here opens nothing."""
        kind, number = delivery.message.kind, _number(delivery.repeat_of)
        if number is not None:
            self.issues.comment(number, body_of(delivery, short=True))
            self._close(delivery, number)
            return Receipt(reference=delivery.repeat_of)
        if kind in ("resolution", "acknowledgement"):
            return Receipt(reference="")
        slug = delivery.message.title.partition(":")[0]
        labels = dict.fromkeys((LABEL, f"runbook:{slug}"[:50], *self.labels))
        title = defused(" ".join(delivery.message.title.split()))[:LONGEST_TITLE]
        opened = self.issues.create(title, body_of(delivery), list(labels))
        return Receipt(reference=f"{self.issues.repository}#{opened}")

    def find(self, delivery: Delivery) -> Receipt | None:
        """An earlier try may have commented and not closed: closing again does no harm."""
        mark, since = marker(delivery), delivery.created_at - LOOK_BACK
        number = _number(delivery.repeat_of)
        if number is not None:
            if any(mark in body for body in self.issues.comments(number, since)):
                self._close(delivery, number)
                return Receipt(reference=delivery.repeat_of)
            return None
        for found, body in self.issues.bodies(LABEL, since):
            if mark in body:
                return Receipt(reference=f"{self.issues.repository}#{found}")
        return None

    def _close(self, delivery: Delivery, number: int) -> None:
        if delivery.message.kind == "resolution" and delivery.closes:
            self.issues.close(number)


def marker(delivery: Delivery) -> str:
    return f"<!-- byteport-delivery: {delivery.marker} -->"


def body_of(delivery: Delivery, *, short: bool = False) -> str:
    """Markdown that mentions nobody and links to nothing but the incident."""
    told = "\n\n".join(_short(delivery)) if short else as_markdown(delivery)
    safe = defused(told)
    if len(safe) > LONGEST:
        safe = f"{safe[:LONGEST]}\n```\n\nCut; the whole is in the console."
    return f"{safe}\n\n{marker(delivery)}\n"


def _short(delivery: Delivery) -> Iterator[str]:
    message = delivery.message
    yield f"**{' '.join(message.title.split())}**"
    if message.text:
        yield message.text
    if fields := [f"- {name}: {' '.join(str(value).split())}" for name, value in message.fields.items()]:
        yield "\n".join(fields)
    if message.link:
        yield message.link


def defused(text: str) -> str:
    """Without what GitHub would act on: mentions, references, comments that could hide or forge a marker."""
    return _CALLS.sub("\\1\u200b", text.replace("<!--", "<\u200b!--"))


def _number(reference: str) -> int | None:
    found = _REFERENCE.fullmatch(reference)
    return int(found[1]) if found else None
