"""A look that has fallen due is taken by a real fleet: opened by its housekeeping, rung for, looked at, told."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from byteport.records.incident import Phase
from tests.servers import eventually
from tests.workers.workshop import Workshop

pytestmark = pytest.mark.real


def test_the_housekeeping_opens_what_looks_and_the_fleet_tells_of_it(
    fleet: Callable[..., Workshop], ledger_url: str
) -> None:
    """The shipped page for databases says nothing of looking again: that is told to a person, and nothing is acted on."""
    shop = fleet("decide", "probe")
    shop.go_live()
    owing = shop.signal()
    shop.world.ledger.command(owing, "close", "ada", "for the test")
    shop.until(owing, Phase.CLOSED)
    with psycopg.connect(ledger_url) as connection:
        connection.execute("insert into byteport.owed_looks values (%s, byteport.clock())", [owing])
    for _ in range(2):
        shop.world.engine.wakeups.signature("byteport.tend").apply_async()
    shop.until_event(owing, "looked_again")
    (looking,) = eventually(lambda: [line.id for line in shop.world.ledger.listing(open_only=True)], within=10)
    told = shop.until(looking, Phase.ESCALATE)
    assert told.follows == owing
    assert "does not say any more what to look at again" in told.reason
    assert shop.world.ledger.intents_of(looking) == []
