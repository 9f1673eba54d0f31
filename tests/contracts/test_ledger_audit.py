"""Who rewrites the ledger itself is found: the first break by name, and what leaves no break by the anchor."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from byteport.errors import BadInput
from byteport.records.event import Event
from byteport.records.incident import Phase
from tests.contracts.conftest import TOLD

REHASHED = (
    "update byteport.events set text = 'x', hash = byteport.event_hash(previous, incident, seq, at, kind, 'x', data)"
)
LONG = timedelta(minutes=10).total_seconds()


@pytest.fixture
def told(world):
    """An incident with a journal of seven lines."""
    incident = world.open()
    world.ledger.append(incident, [Event(kind="told", text=f"line {n}", data={"n": n}) for n in range(6)])
    return incident


@pytest.fixture
def intruder(world, postgres_server):
    """A superuser who switches triggers and foreign keys off."""

    def run(*statements: str) -> None:
        name = world.url.rsplit("/", 1)[1]
        with psycopg.connect(postgres_server.url_of(name, user="postgres"), autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            for statement in statements:
                connection.execute(statement)

    return run


def cut_with_its_head(line: int) -> tuple[str, str]:
    """What leaves the chain whole: the incident remembers the line before as its last."""
    head = "(select hash from byteport.events e where e.incident = journal_heads.incident and seq = event_count)"
    return (
        f"delete from byteport.events where seq >= {line}",
        f"update byteport.journal_heads set event_count = {line - 1}",
        f"update byteport.journal_heads set head_hash = {head}",
    )


@pytest.mark.parametrize(
    ("forgery", "seq", "what", "told_of"),
    [
        ("update byteport.events set text = 'nothing' where seq = 3", 3, "edited", "line 3 does not match its own hash"),
        ("update byteport.events set at = at - interval '1 s' where seq = 5", 5, "edited", "line 5 does not match"),
        (f"{REHASHED} where seq = 3", 4, "edited", "line 4 does not carry the hash of line 3"),
        (f"{REHASHED} where seq = 7", 7, "edited", "line 7 is not the last line that the incident remembers"),
        ("delete from byteport.events where seq = 4", 4, "missing", "line 4 is missing, line 5 is there"),
        ("delete from byteport.events where seq in (1, 2, 3)", 1, "missing", "lines 1 to 3 are missing, line 4 is there"),
        ("delete from byteport.events where seq = 7", 7, "cut tail", "line 7 is cut off"),
        ("delete from byteport.events where seq > 2", 3, "cut tail", "lines 3 to 7 are cut off"),
        ("delete from byteport.events", 1, "cut tail", "lines 1 to 7 are cut off"),
        ("update byteport.events set seq = 0 where seq = 1", 1, "missing", "line 1 is missing"),
        ("update byteport.journal_heads set event_count = 6", 7, "inserted", "line 7 stands behind the 6"),
        ("delete from byteport.incidents", 1, "orphaned", "the incident itself is gone"),
    ],
)  # fmt: skip
def test_the_first_break_is_named_with_what_is_wrong(world, told, intruder, forgery, seq, what, told_of):
    intruder(forgery)
    (broken,) = world.ledger.chain_breaks([told])
    assert (broken.incident, broken.seq, broken.what) == (told, seq, what)
    assert told_of in broken.detail


def test_what_is_forgotten_while_it_is_checked_is_no_break(world, told):
    world.move(told, phase=Phase.CLOSED, ending="resolved")
    world.travel(60)
    assert world.ledger.forget_before(timedelta(seconds=1)) == 1
    assert world.ledger.chain_breaks([told, "never-was"]) == []


def test_only_the_first_break_of_an_incident_is_named_and_others_stay_whole(world, told, intruder):
    whole = world.open("db-2")
    intruder(
        f"delete from byteport.events where incident = '{told}' and seq = 2",
        f"update byteport.events set text = 'x' where incident = '{told}' and seq = 6",
    )
    assert [(b.incident, b.seq) for b in world.ledger.chain_breaks([whole, told])] == [(told, 2)]
    assert world.ledger.chain_breaks([whole]) == []


def test_journals_are_listed_in_pages_also_those_whose_incident_is_gone(world, told, intruder):
    every = sorted([told, world.open("db-2"), world.open("db-3")])
    intruder(f"delete from byteport.incidents where id = '{told}'")
    assert world.ledger.journals(limit=2) == every[:2]
    assert world.ledger.journals(after=every[1]) == every[2:]


def test_an_anchor_is_found_again_by_its_time_whatever_was_added_since(world, told):
    world.travel(LONG)
    before = world.ledger.anchor()
    assert before.incidents == 1
    world.ledger.append(told, [TOLD])
    world.open("db-2")
    world.travel(LONG)
    assert world.ledger.anchor(before.as_of) == before
    now = world.ledger.anchor()
    assert (now.incidents, now.digest == before.digest) == (2, False)


@pytest.mark.parametrize(
    "forgery",
    [
        cut_with_its_head(6),
        ("update byteport.events set text = 'nothing', hash = 'x' where seq = 7",),
        ("delete from byteport.events", "delete from byteport.incidents"),
        ("delete from byteport.events where seq = 7",),
    ],
)
def test_what_an_anchor_has_seen_cannot_be_taken_back(world, told, intruder, forgery):
    world.travel(LONG)
    before = world.ledger.anchor()
    intruder(*forgery)
    assert world.ledger.anchor(before.as_of) != before


def test_a_tail_that_was_cut_with_its_head_shows_in_the_anchor_alone(world, told, intruder):
    world.travel(LONG)
    before = world.ledger.anchor()
    intruder(*cut_with_its_head(6))
    assert world.ledger.chain_breaks([told]) == []
    after = world.ledger.anchor(before.as_of)
    assert (after.incidents, after.digest == before.digest) == (before.incidents, False)


def test_an_anchor_is_of_a_time_that_no_transaction_can_still_add_to(world, told):
    as_of = world.ledger.anchor().as_of
    now = world.ledger.now()
    assert timedelta(minutes=5) <= now - as_of < timedelta(minutes=6)
    with pytest.raises(BadInput, match="at least 5 min ago"):
        world.ledger.anchor(now)


def test_what_the_retention_forgets_is_in_no_anchor_for_long_enough(world, told):
    world.move(told, phase=Phase.CLOSED, ending="resolved")
    world.open("db-2")
    world.travel(timedelta(days=3).total_seconds())
    before = world.ledger.anchor(back=timedelta(days=2))
    assert (before.incidents, world.ledger.anchor(back=timedelta(days=4)).incidents) == (1, 2)
    assert world.ledger.forget_before(timedelta(days=3)) == 1
    assert world.ledger.anchor(before.as_of, back=timedelta(days=2)) == before
