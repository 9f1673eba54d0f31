"""Pollers: what they tell goes the way of every alert, and who hears nothing for three periods is told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byteport.engine.pages import Pages
from byteport.engine.polling import Polling
from byteport.engine.routing import Routing
from byteport.errors import Permanent, Transient, Unavailable
from byteport.model.alert import Alert
from byteport.model.route import Route
from byteport.records.figures import LONGEST_MEMORY
from byteport.sources.incoming import Heard, Malformed, Silent
from byteport.sources.polling import Looked
from byteport.testing.time_travel import travel
from tests.ward.world import World

PERIOD = timedelta(seconds=60)
ROUTE = Route.model_validate(
    {"match": {"alertname": "Leak"}, "signal": "ward_one", "target": {"kind": "service", "key": "{valve}"}}
)


@dataclass
class Scripted:
    """Answers what the test has written down, one look after the other; the last goes on."""

    script: list[Sequence[Heard] | Exception]
    name: str = "scripted"
    period: timedelta = PERIOD
    timeout: timedelta = timedelta(seconds=1)
    asked: list[datetime] = field(default_factory=list)

    def ask(self, now: datetime) -> Sequence[Heard]:
        self.asked.append(now)
        told = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(told, Exception):
            raise told
        return told


def leak(valve: str = "v1", **more) -> Alert:
    return Alert(source="scripted", name="Leak", fired_at=datetime.now(UTC), labels={"valve": valve}, **more)


def polling(world: World, configuration: str = "c1") -> Polling:
    return Polling(world.ledger, Routing(Pages(tuple(world.pages)), (ROUTE,)), world.engine().take, configuration)


def look(world: World, poller: Scripted, after: timedelta = PERIOD):
    told = polling(world).poll(poller)
    travel(world.url, after.total_seconds())
    return told


def notices(world: World) -> list[str]:
    world.policy = replace(world.policy, configuration="c1", operators=("slack",))
    world.engine().tend()
    world.engine().deliver_due()
    return [one.message.title for one in world.notebook.sent]


def test_what_a_poller_tells_opens_incidents(world: World) -> None:
    world.ward.prepare("v1", "v2")
    other = Alert(source="scripted", name="Noise", fired_at=datetime.now(UTC))
    assert look(world, Scripted([[leak(), leak("v2"), other]])) == {"taken": 2, "unrouted": 1}
    assert sorted(line.target for line in world.ledger.listing()) == ["service:v1", "service:v2"]


def test_what_a_poller_tells_again_is_one(world: World) -> None:
    world.ward.prepare("v1")
    poller = Scripted([[leak(event_id="e1")]])
    look(world, poller)
    look(world, poller)
    (line,) = world.ledger.listing()
    assert line.signals == 1


def test_two_looks_at_once_are_one(world: World) -> None:
    poller = Scripted([[]])
    assert polling(world).poll(poller) == {}
    assert polling(world).poll(poller) is None
    assert len(poller.asked) == 1
    travel(world.url, 31)
    assert polling(world).poll(poller) == {}


@pytest.mark.parametrize("problem", [Transient("no answer"), Permanent("refused"), RuntimeError("a bug")])
def test_a_source_without_an_answer_is_told_of_once_and_again_when_it_answers(world: World, problem) -> None:
    poller = Scripted([[], problem, problem, problem, problem, []])
    look(world, poller)
    look(world, poller)
    assert notices(world) == []
    look(world, poller)
    assert notices(world) == ["sources: scripted does not answer"]
    look(world, poller)
    look(world, poller)
    assert len(notices(world)) == 1
    look(world, poller, timedelta(0))
    assert notices(world)[1:] == ["sources: scripted answers again"]
    (row,) = world.ledger.pollers()
    assert (row.error, row.told_at) == ("", None)


def test_a_source_that_nobody_asks_any_more_is_told_of_too(world: World) -> None:
    """Beat is dead, or the worker that polls."""
    look(world, Scripted([[]]), timedelta(seconds=181))
    assert notices(world) == ["sources: scripted does not answer"]
    assert "nobody asked it" in world.notebook.sent[0].message.text


def test_a_source_that_is_configured_no_more_is_not_waited_for(world: World) -> None:
    polling(world, "an earlier configuration").poll(Scripted([[]], name="gone"))
    look(world, Scripted([[]]), timedelta(seconds=1))
    travel(world.url, 170)
    look(world, Scripted([[]]), timedelta(seconds=20))
    assert notices(world) == []
    assert [row.name for row in world.ledger.pollers()] == ["scripted"]


def test_a_failed_look_clears_nothing(world: World) -> None:
    world.ward.prepare("v1")
    poller = Scripted([[leak()], Transient("away")])
    look(world, poller)
    look(world, poller)
    (line,) = world.ledger.listing()
    assert world.now(line.id).clear_since is None


def test_a_look_that_could_read_nothing_of_it_is_no_success(world: World) -> None:
    poller = Scripted([[Malformed("endpoint", "an answer")]])
    assert look(world, poller) == {"malformed": 1}
    assert world.ledger.pollers()[0].error == "endpoint: an answer"
    world.ward.prepare("v1")
    look(world, Scripted([[Malformed("endpoint", "an answer"), leak()]]))
    assert world.ledger.pollers()[0].error == ""


@dataclass
class Hoarding:
    """Remembers more than it may, and tells of a leak."""

    name: str = "hoarding"
    period: timedelta = PERIOD
    timeout: timedelta = timedelta(seconds=1)

    def look(self, now: datetime, memory: Mapping[str, Any]) -> Looked:
        return Looked([leak(event_id="e1")], {"all": "x" * LONGEST_MEMORY})


def test_what_cannot_be_remembered_is_heard_all_the_same_and_people_hear_that(world: World) -> None:
    world.ward.prepare("v1")
    assert polling(world).poll(Hoarding()) == {"taken": 1, "failed": 1}
    (row,) = world.ledger.pollers()
    assert row.error.startswith(f"memory: at most {LONGEST_MEMORY} bytes")


def test_a_ledger_that_is_away_counts_against_nobody(world: World) -> None:
    with pytest.raises(Unavailable):
        polling(world).poll(Scripted([Unavailable("the ledger")]))


def test_secrets_in_an_error_stay_here(world: World) -> None:
    look(world, Scripted([Transient("cannot reach https://user:hunter2@prometheus/")]))
    assert "hunter2" not in world.ledger.pollers()[0].error


def test_a_silent_part_is_told_of_by_itself_while_the_others_answer(world: World) -> None:
    dead = Silent("shop.example:443", "an answer (out of reach)")
    poller = Scripted([[dead], [dead, leak()], [dead], [dead], [dead], [], []])
    for _ in range(5):
        look(world, poller)
        notices(world)
    assert notices(world) == ["sources: scripted: shop.example:443 does not answer"]
    assert world.ledger.listing(), "what the others tell is heard"
    for _ in range(2):
        look(world, poller)
        notices(world)
    assert notices(world) == [
        "sources: scripted: shop.example:443 does not answer", "sources: scripted: shop.example:443 answers again",
    ]  # fmt: skip
    look(world, poller)
    assert [row.name for row in world.ledger.pollers()] == ["scripted"]


def test_a_part_that_is_silent_for_a_moment_is_no_news(world: World) -> None:
    dead = Silent("shop.example:443", "an answer (out of reach)")
    poller = Scripted([[dead], [dead], [], [dead], [dead], [], []])
    for _ in range(7):
        look(world, poller)
        notices(world)
    assert notices(world) == []


def test_a_source_that_wants_to_be_left_alone_is(world: World) -> None:
    poller = Scripted([Transient("slow down", retry_after=timedelta(minutes=5)), []])
    for _ in range(5):
        look(world, poller)
    assert len(poller.asked) == 1
    look(world, poller)
    assert len(poller.asked) == 2
    look(world, poller)
    assert len(poller.asked) == 3, "whoever answers again is asked at every turn"


def test_nobody_is_left_alone_for_longer_than_an_hour(world: World) -> None:
    poller = Scripted([Transient("slow down", retry_after=timedelta(days=9)), []])
    look(world, poller, timedelta(minutes=59))
    look(world, poller, timedelta(minutes=2))
    assert len(poller.asked) == 1
    look(world, poller)
    assert len(poller.asked) == 2
