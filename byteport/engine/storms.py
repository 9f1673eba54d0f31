"""Telling of a storm: once that it has begun (its incidents say that), at most twice how it stands, that it is over,
and that nothing of it is left. Five notifications a channel, however many incidents it has."""

from __future__ import annotations

from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.grammar.runbook import Runbook
from byteport.model.units import hours, minutes
from byteport.records.delivery import Message
from byteport.records.figures import StormRow, key_of
from byteport.stores import Ledger

LATER = (minutes(15), hours(2))
"""After the word before it; after these people hear only of its end."""


def tend(ledger: Ledger, pages: Pages, policy: Policy) -> int:
    """Note what has begun, and say what is due; how many were told of."""
    known = [page.name for page in pages.all if pages.is_enabled(page)]
    return ledger.tend_storms(known, LATER, lambda storm: words(storm, pages.by_name.get(storm.runbook), policy))


def words(storm: StormRow, page: Runbook | None, policy: Policy) -> tuple[Message, ...]:
    """For each channel that heard of its beginning, as an addition to that."""
    lasts = page.escalate.once_per.total_seconds() if page is not None else 86_400.0
    return tuple(
        Message(
            kind="resolution" if storm.is_over and not storm.left else "notice", channel=channel, severity="high",
            dedup_key=key_of(storm.runbook), dedup_seconds=lasts, link=f"{policy.base_url.rstrip('/')}/",
            title=f"{storm.runbook}: storm {_how(storm)}", text=in_words(storm),
        )
        for channel in storm.channels or (policy.fallback_channel,)
    )  # fmt: skip


def _how(storm: StormRow) -> str:
    if not storm.is_over:
        return "goes on"
    return "is over" if storm.left else "is over, and nothing of it left"


def in_words(storm: StormRow) -> str:
    """How it stands: how many, of what, and what is left for people."""
    more = storm.incidents - len(storm.targets)
    targets = ", ".join(storm.targets) + (f" and {more} more" if more > 0 else "")
    acted = f"{storm.acted} were acted on before it was seen" if storm.acted else "none was acted on"
    return (
        f"{storm.incidents} incidents since {storm.began_at:%H:%M} UTC: {targets}. "
        f"{storm.closed} closed, {storm.waiting} waiting for a person; {acted}."
    )
