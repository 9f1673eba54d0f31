"""What is counted and listed without reading everything: it must be what reading everything would have told."""

from __future__ import annotations

from datetime import timedelta

from byteport.records.incident import Phase

COUNTED = """
select coalesce(nullif(ending, ''), 'closed') as ending, count(*) as n from byteport.incidents
where phase = 'closed' group by 1
"""


def every(world) -> dict[str, int]:
    return {row["ending"]: row["n"] for row in world.sql(COUNTED)}


def test_the_closed_ones_are_counted_as_they_close_and_as_they_are_forgotten(world):
    for n, ending in enumerate(("resolved", "resolved", "recovered", "")):
        world.move(world.open(f"db-{n}"), phase=Phase.CLOSED, ending=ending)
    world.open("db-9")
    assert world.ledger.figures().by_ending == every(world) == {"resolved": 2, "recovered": 1, "closed": 1}
    world.sql("update byteport.incidents set ending = 'resolved' where ending = 'recovered'")
    assert world.ledger.figures().by_ending == every(world) == {"resolved": 3, "closed": 1}
    world.travel(2 * 86400)
    world.move(world.open("db-10"), phase=Phase.CLOSED, ending="resolved")
    assert world.ledger.forget_before(timedelta(days=1)) == 4
    assert world.ledger.figures().by_ending == every(world) == {"resolved": 1}


def test_the_retention_adds_the_lines_up(world):
    for n in range(4):
        world.move(world.open(f"db-{n}"), phase=Phase.CLOSED, ending="resolved")
    assert len(world.sql("select n from byteport.endings")) == 4
    world.ledger.forget_before(timedelta(days=1))
    assert world.sql("select ending, n from byteport.endings") == [{"ending": "resolved", "n": 4}]
    assert world.ledger.figures().by_ending == {"resolved": 4}


def test_pages_of_a_listing_follow_one_another_with_and_without_the_closed(world):
    incidents = [world.open(f"db-{n}") for n in range(6)]
    for n in (1, 4):
        world.move(incidents[n], phase=Phase.CLOSED, ending="resolved")
    for open_only, left in ((False, incidents), (True, [incidents[n] for n in (0, 2, 3, 5)])):
        first = world.ledger.listing(open_only=open_only, limit=2)
        rest = world.ledger.listing(open_only=open_only, before=first[-1].id)
        assert [line.id for line in [*first, *rest]] == left[::-1]


def test_words_of_a_listing_are_those_of_the_incidents(world):
    ended, waiting = world.open("db-1"), world.open("db-2")
    world.move(ended, phase=Phase.CLOSED, ending="resolved")
    world.move(waiting, phase=Phase.ESCALATE)
    told = {line.id: line.word for line in world.ledger.listing()}
    assert told == {name: world.ledger.incident(name).word for name in (ended, waiting)}
