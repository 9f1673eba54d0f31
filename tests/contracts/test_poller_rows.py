"""Whose turn it is to look, and what is remembered from one look to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.errors import BadInput
from byteport.records.figures import LONGEST_MEMORY, Turn
from byteport.testing.time_travel import travel
from tests.contracts.conftest import race

PERIOD = timedelta(seconds=10)


@pytest.fixture
def ledgers(ledger_url: str) -> Iterator[tuple[PostgresLedger, PostgresLedger]]:
    """Two processes' ways to one ledger."""
    migrate(ledger_url)
    with closing(PostgresLedger(ledger_url)) as one, closing(PostgresLedger(ledger_url)) as other:
        yield one, other


def begun(ledger: PostgresLedger, configuration: str = "c1") -> Turn:
    turn = ledger.poll_begins("vitals", PERIOD, configuration)
    assert turn is not None
    return turn


def test_what_one_process_leaves_the_next_one_knows(ledgers, ledger_url):
    one, other = ledgers
    first = begun(one)
    assert first.memory == {}
    assert one.polled(first, "", memory={"since": "ten", "value": float("nan")})
    travel(ledger_url, 10)
    assert begun(other, "another configuration").memory == {"since": "ten", "value": "NaN"}


def test_a_look_without_an_answer_leaves_what_was_remembered(ledgers, ledger_url):
    one, other = ledgers
    one.polled(begun(one), "", memory={"n": 1})
    travel(ledger_url, 10)
    other.polled(begun(other), "out of reach")
    travel(ledger_url, 10)
    turn = begun(one)
    assert (turn.memory, turn.at - turn.since >= timedelta(seconds=19)) == ({"n": 1}, True)


def test_of_many_who_come_at_once_one_looks(ledgers):
    turns = race([lambda ledger=ledger: ledger.poll_begins("vitals", PERIOD, "c1") for ledger in ledgers * 4])
    assert sum(isinstance(turn, Turn) for turn in turns) == 1
    assert sum(turn is None for turn in turns) == 7


def test_while_somebody_looks_nobody_else_does_however_short_the_period(ledgers, ledger_url):
    one, other = ledgers
    turn = begun(one)
    travel(ledger_url, 30)
    assert other.poll_begins("vitals", PERIOD, "c1") is None
    one.polled(turn, "")
    assert other.poll_begins("vitals", PERIOD, "c1") is not None


def test_one_that_ends_after_another_has_begun_writes_nothing(ledgers, ledger_url):
    one, other = ledgers
    late = begun(one)
    travel(ledger_url, 36)  # it stood still for longer than a look may take
    newer = begun(other)
    assert not one.polled(late, "stood still", timedelta(hours=1), memory={"from": "the late one"})
    assert other.polled(newer, "", memory={"from": "the newer one"})
    assert not one.polled(late, "", memory={"from": "the late one"})
    assert [row.error for row in one.pollers()] == [""]
    travel(ledger_url, 10)
    assert begun(one).memory == {"from": "the newer one"}


def test_a_memory_that_is_too_big_is_refused_and_says_so(ledgers, ledger_url):
    one, other = ledgers
    one.polled(begun(one), "", memory={"n": 1})
    travel(ledger_url, 10)
    turn = begun(other)
    with pytest.raises(BadInput, match=f"memory: at most {LONGEST_MEMORY} bytes"):
        other.polled(turn, "", memory={"n": "x" * LONGEST_MEMORY})
    assert other.polled(turn, "it is too big")
    travel(ledger_url, 10)
    assert begun(one).memory == {"n": 1}
