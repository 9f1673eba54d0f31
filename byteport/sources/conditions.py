"""What a poller remembers of conditions between two looks, and what it tells of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import structlog
from pydantic import AwareDatetime

from byteport.model.alert import Alert
from byteport.model.base import Value, canonical
from byteport.records.figures import LONGEST_MEMORY
from byteport.sources.incoming import Heard, id_of

log: Any = structlog.get_logger("byteport.sources.conditions")
AGAIN_SECONDS = 300
MOST_REMEMBERED = LONGEST_MEMORY * 3 // 4  # what else a poller remembers has the rest
FORGOTTEN = timedelta(days=7)  # what nobody could read for so long is remembered no more: nor is its incident open


class Seen(Value):
    """A condition as it is remembered between two looks. `last` is when it was last seen to hold."""

    alert: Alert
    since: AwareDatetime
    told: bool = False
    last: AwareDatetime | None = None

    def is_stale(self, now: datetime, gap: timedelta) -> bool:
        """Whether it was not told yet, and not looked at for so long that nobody knows what happened meanwhile."""
        return not self.told and now - (self.last or self.since) > gap


def compared(
    before: Mapping[str, Seen],
    firing: Mapping[str, Alert],
    waits: Mapping[str, float],
    now: datetime,
    well: Collection[str] | None = None,
    since: Mapping[str, datetime] = MappingProxyType({}),
) -> tuple[dict[str, Seen], list[Heard]]:
    """What to remember, and what to tell: what has fired for long enough, and what was told and fires no more.

    `waits` are the seconds that a condition must hold before it is told. `well` are those that were read and do not
    hold; None: all that do not fire. What is neither was not read: it is kept as it is, and has not ended. `since` is
    since when a condition holds, where the source remembers it better.
    """
    after: dict[str, Seen] = {}
    told: list[Heard] = []
    for condition, alert in firing.items():
        began = since.get(condition) or (before[condition].since if condition in before else now)
        due = now - began >= timedelta(seconds=waits.get(condition, 0.0))
        after[condition] = Seen(alert=alert, since=began, told=due, last=now)
        told += [alert] if due else []
    silent = {condition: seen for condition, seen in before.items() if condition not in firing}
    for condition, seen in silent.items():
        if well is None or condition in well:
            told += _ended(condition, seen, now)
        elif now - (seen.last or seen.since) <= FORGOTTEN:
            after[condition] = seen
    return after, told


def _ended(condition: str, seen: Seen, now: datetime) -> list[Alert]:
    if not seen.told:
        return []
    return [seen.alert.with_(resolved=True, fired_at=now, event_id=id_of(condition, seen.since.isoformat()))]


def bounded(parts: Mapping[str, Mapping[str, Seen]], most: int = MOST_REMEMBERED) -> dict[str, dict[str, Seen]]:
    """What may be remembered of all parts, in bytes: the conditions that have held for longest, so that these at least
    are told and end. Of the others the next look begins anew."""
    lines = sorted((seen.since, part, condition) for part, known in parts.items() for condition, seen in known.items())
    kept: dict[str, dict[str, Seen]] = {part: {} for part in parts}
    for place, (_, part, condition) in enumerate(lines):
        most -= len(canonical(condition)) + len(canonical(parts[part][condition].model_dump(mode="json"))) + 2
        if most < 0:
            log.warning("memory_is_full", kept=place, forgotten=len(lines) - place, first=condition)
            break
        kept[part][condition] = parts[part][condition]
    return kept


def telling(condition: str, now: datetime) -> str:
    """The identity of what is told of a condition now: one for five minutes, then another."""
    return f"{condition}/{int(now.timestamp() // AGAIN_SECONDS)}"
