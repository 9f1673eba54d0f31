"""A storm costs people five notifications a channel, however many incidents it has."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from byteport.engine.storms import LATER
from byteport.model.signal import Mode
from byteport.model.units import minutes
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.ward.world import World, race

RUNBOOK = "ward_one"
CHANNELS = ("slack",)


@pytest.fixture
def stormy(world: World) -> World:
    world.ledger.storm_threshold = 3
    world.policy = replace(world.policy, storm_threshold=3)
    return world


def struck(world: World, many: int = 8) -> list[str]:
    """Incidents of a storm, each run to where it rests."""
    opened = [world.open(RUNBOOK, valve=f"valve-{n}", mode=Mode.LIVE) for n in range(many)]
    for incident in opened:
        world.run(incident)
    return opened


def tend(world: World) -> None:
    world.engine().tend()
    world.engine().deliver_due(100)


def said(world: World) -> list[str]:
    return [one.message.title for one in world.notebook.sent]


def test_people_hear_of_a_storm_five_times_and_of_none_of_its_incidents(stormy: World) -> None:
    struck(stormy)
    tend(stormy)
    for later in LATER:
        for _ in range(3):
            tend(stormy)  # nothing is due in between
        travel(stormy.url, later.total_seconds() + 1)
        stormy.open(RUNBOOK, valve=f"again-{later}")
        keep_it_up(stormy, str(later))
        tend(stormy)
    assert said(stormy) == [f"{RUNBOOK}: storm"] + [f"{RUNBOOK}: storm goes on"] * 2
    travel(stormy.url, 16 * 60)
    tend(stormy)
    tend(stormy)
    assert said(stormy)[3:] == [f"{RUNBOOK}: storm is over"]
    for line in stormy.ledger.listing(open_only=True, limit=200):
        stormy.ledger.command(line.id, "close", "ada", "seen")
        stormy.run(line.id)
    tend(stormy)
    tend(stormy)
    assert said(stormy)[4:] == [f"{RUNBOOK}: storm is over, and nothing of it left"]
    assert stormy.ledger.storms() == []


def keep_it_up(world: World, mark: str) -> None:
    """As many new ones as make it a storm again, of the same one: it has not been calm in between."""
    for n in range(5):
        world.open(RUNBOOK, valve=f"more-{mark}-{n}")


def test_its_beginning_is_told_once_also_after_digests_and_after_the_window_of_its_runbook(stormy: World) -> None:
    struck(stormy)
    tend(stormy)
    for later in (*LATER, minutes(90)):
        travel(stormy.url, later.total_seconds() - 60)
        keep_it_up(stormy, str(later))
        travel(stormy.url, 61)
        tend(stormy)
        for line in stormy.ledger.listing(open_only=True, limit=200)[:5]:
            stormy.run(line.id, most=30)
        stormy.engine().deliver_due(100)
    assert Counter(said(stormy))[f"{RUNBOOK}: storm"] == 1


def test_one_that_comes_and_goes_is_over_once(stormy: World) -> None:
    struck(stormy)
    for turn in range(4):
        tend(stormy)
        travel(stormy.url, 16 * 60)
        tend(stormy)
        keep_it_up(stormy, str(turn))
        tend(stormy)
    titles = Counter(said(stormy))
    assert titles[f"{RUNBOOK}: storm is over"] == 1
    assert sum(titles.values()) <= 4


def test_a_team_that_heard_it_begin_hears_how_it_stands(stormy: World) -> None:
    stormy.policy = replace(stormy.policy, channels=("slack", "slack/valves"), team=lambda _runbook, _signal: "valves")
    struck(stormy)
    tend(stormy)
    (storm,) = stormy.ledger.storms()
    assert storm.channels == ("slack/valves",)


def test_a_digest_says_how_many_of_what_and_how_they_stand(stormy: World) -> None:
    incidents = struck(stormy)
    tend(stormy)
    stormy.ledger.command(incidents[0], "close", "ada", "seen")
    stormy.run(incidents[0])
    (storm,) = stormy.ledger.storms()
    assert (storm.runbook, storm.incidents, storm.closed, storm.waiting) == (RUNBOOK, 8, 1, 7)
    assert len(storm.targets) == 5
    travel(stormy.url, LATER[0].total_seconds() + 1)
    tend(stormy)
    last = stormy.notebook.sent[-1]
    assert last.message.title == f"{RUNBOOK}: storm is over"
    assert "8 incidents since" in last.message.text
    assert "and 3 more. 1 closed, 7 waiting for a person; none was acted on." in last.message.text
    assert last.repeat_of == "n1"  # where its beginning was told


def test_closing_or_taking_what_a_storm_left_disturbs_nobody(stormy: World) -> None:
    incidents = struck(stormy)
    before = len(said(stormy))
    for word, incident in zip(("ack", "close", "close", "cancel"), incidents, strict=False):
        stormy.ledger.command(incident, word, "ada", "seen")
        stormy.run(incident)
    travel(stormy.url, 3600)
    for incident in incidents[4:]:
        stormy.run(incident, most=20)
    assert len(said(stormy)) == before


def test_a_person_ends_it_and_the_end_is_told(stormy: World) -> None:
    struck(stormy)
    tend(stormy)
    stormy.ledger.end_storm(RUNBOOK, "ada")
    tend(stormy)
    assert said(stormy)[-1] == f"{RUNBOOK}: storm is over"
    alone = stormy.open(RUNBOOK, valve="afterwards", mode=Mode.LIVE)
    assert stormy.run(alone).phase is Phase.CLOSED  # acted on again


def test_a_storm_after_a_storm_is_told_anew(stormy: World) -> None:
    struck(stormy)
    tend(stormy)
    for line in stormy.ledger.listing(open_only=True, limit=200):
        stormy.ledger.command(line.id, "close", "ada", "seen")
        stormy.run(line.id)
    travel(stormy.url, 20 * 60)
    tend(stormy)
    assert stormy.ledger.storms() == []
    for n in range(8):
        stormy.run(stormy.open(RUNBOOK, valve=f"second-{n}", mode=Mode.LIVE))
    tend(stormy)
    (storm,) = stormy.ledger.storms()
    assert (storm.incidents, storm.digests) == (8, 0)
    assert said(stormy)[-1] == f"{RUNBOOK}: storm"


def test_many_who_tend_at_once_say_it_once(stormy: World) -> None:
    struck(stormy)
    race([lambda: stormy.engine().tend() for _ in range(6)])
    travel(stormy.url, LATER[0].total_seconds() + 1)
    race([lambda: stormy.engine().tend() for _ in range(6)])
    stormy.engine().deliver_due(100)
    assert Counter(said(stormy)) == {f"{RUNBOOK}: storm": 1, f"{RUNBOOK}: storm is over": 1}


def test_calm_weather_is_no_news(stormy: World) -> None:
    stormy.run(stormy.open(RUNBOOK, mode=Mode.LIVE))
    tend(stormy)
    assert (stormy.ledger.storms(), [title for title in said(stormy) if "storm" in title]) == ([], [])
