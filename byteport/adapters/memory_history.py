"""How much of a host's memory its services held in the last hours: by Prometheus where people have said how to ask it,
else by what BytePort has written down itself.

Of cAdvisor that is `container_memory_rss{id=~"/system.slice/.+[.]service",instance=~"{host}(:.*)?"}`; the service is
read off the label `unit`, `name`, `groupname` or the last part of `id`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from byteport.errors import Denied, Permanent
from byteport.model.facts.memory import History, Samples
from byteport.model.facts.prometheus import Run
from byteport.ports_memory import MemoryRecord

STEP = timedelta(minutes=5)
HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}")
NAMED_BY = ("unit", "name", "groupname", "id")


class AskingRanges(Protocol):
    """Raises Transient, Denied or Permanent."""

    def query_range(self, expression: str, since: datetime, until: datetime, step: timedelta) -> Sequence[Run]: ...


@dataclass(frozen=True)
class MemoryOf:
    """`prometheus` None: none is configured."""

    record: MemoryRecord
    prometheus: AskingRanges | None = None

    def held(self, host: str, since: timedelta, expression: str) -> History | None:
        if not expression:
            return self.record.memory_of(host, since)
        if not HOST.fullmatch(host):
            raise Permanent(f"{host!r} is no name of a host that a query can hold")
        runs = self._asked(expression.replace("{host}", re.escape(host).replace("\\", "\\\\")), since)
        series = tuple(
            Samples(key=key, points=tuple((at, int(value)) for at, value in run.points))
            for run in runs
            if (key := _key(run.labels)) and run.points
        )
        return History(source="prometheus", series=series) if series else None

    def rate(self, since: timedelta, expression: str) -> Samples | None:
        """Several series are added up, where they were measured at the same moments."""
        if not expression:
            return None
        total: dict[datetime, int] = {}
        for run in self._asked(expression, since):
            for at, value in run.points:
                total[at] = total.get(at, 0) + round(value * 1000)
        return Samples(key="requests", points=tuple(sorted(total.items())))

    def _asked(self, expression: str, since: timedelta) -> Sequence[Run]:
        if self.prometheus is None:
            raise Denied("a query is configured, and no Prometheus that could be asked")
        now = datetime.now(UTC)
        return self.prometheus.query_range(expression, now - since, now, STEP)


def _key(labels: Mapping[str, str]) -> str:
    return next((labels[name].rsplit("/", 1)[-1] for name in NAMED_BY if labels.get(name)), "")
