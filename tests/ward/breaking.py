"""Pages and stores on which something breaks between two steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from byteport.errors import Permanent, Unavailable
from byteport.grammar.plan import Plan, Undo
from byteport.grammar.runbook import Move
from byteport.grammar.verdict import Claim
from byteport.model.units import minutes
from byteport.ports import Readers
from byteport.records.change import Lease
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.world import World


class Blind(pages.SetValve):
    """Needs no look before; whether it holds can be told only while the valve answers."""

    def look_before(self, readers: Readers) -> dict[str, Any]:
        return {}


class Unlookable(pages.Pulse):
    """Must look before it acts, and may not."""

    def look_before(self, readers: Readers) -> dict[str, Any]:
        raise Permanent("permission denied to look")


BLIND, UNLOOKABLE = Move("blind", Blind, pages.WIDE), Move("unlookable", Unlookable, (pages.STUCK_BUDGET,))


def undoing(when: str | None) -> Callable[[Any], Plan]:
    def plan(e: pages.WardEvidence) -> Plan:
        back = Undo(action=pages.SetValve(name=pages.key(e), was=7, to=0), when=when, by=minutes(10))
        return Plan(steps=(BLIND(undo=back, name=pages.key(e), was=0, to=7),))

    return plan


SIGHTLESS = pages.page("ward_sightless", undoing(None), moves=(BLIND,))
OWING = pages.page("ward_owing", undoing("leaks"), moves=(BLIND,), verify=pages.NEVER_WELL)
BACK = pages.page("ward_back", undoing(None), moves=(BLIND,), verify=pages.NEVER_WELL)
DENIED = pages.page("ward_denied", lambda e: Plan(steps=(UNLOOKABLE(name=pages.key(e)),)), moves=(UNLOOKABLE,))
TWICE = pages.page(
    "ward_twice", lambda e: Plan(steps=(pages.PULSE(name=pages.key(e)), pages.PULSE(name=pages.key(e), turn=2)))
)
TURNS = Claim(key="turns:valve:v1", limit=1, window_seconds=86400, guard="turns_a_day")


def sql(world: World, text: str, *values: Any) -> list[Any]:
    with psycopg.connect(world.url) as connection:
        cursor = connection.execute(text, values)
        return cursor.fetchall() if cursor.description else []


@dataclass
class Between:
    """A store before whose first call of that name something else happens."""

    store: Any
    name: str
    first: Callable[[], Any]
    skip: int = 0
    seen: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        reached = getattr(self.store, name)
        if name != self.name:
            return reached

        def call(*args: Any, **more: Any) -> Any:
            self.seen.append(name)
            if len(self.seen) == self.skip + 1:
                self.first()
            return reached(*args, **more)

        return call


class Gone:
    """A store that cannot be reached."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def gone(*_args: Any, **_more: Any) -> Any:
            raise Unavailable("connection refused")

        return gone


def steps(world: World, incident: str, n: int, each: float = 0) -> None:
    for _ in range(n):
        world.step(incident)
        if each:
            travel(world.url, each)


def claimed(world: World, incident: str) -> Lease:
    found = world.ledger.claim(incident, world.engine().pages.digests)
    assert found is not None
    return found[1]
