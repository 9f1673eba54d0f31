"""The journal cannot be changed unseen, and goes only as a whole."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from byteport.errors import BadInput
from byteport.records.delivery import Postmortem
from byteport.records.event import Event
from byteport.records.incident import Phase
from byteport.records.outcome import Done
from tests.contracts.conftest import TOLD, once, race

REHASHED = (
    "update byteport.events set text = 'x', hash = byteport.event_hash(previous, incident, seq, at, kind, 'x', data)"
)


@pytest.fixture
def told(world):
    """An incident with a journal of seven lines."""
    incident = world.open()
    world.ledger.append(incident, [Event(kind="told", text=f"line {n}", data={"n": n, "x": 1e22}) for n in range(6)])
    return incident


@pytest.fixture
def intruder(world, postgres_server):
    """Somebody who may switch triggers off."""

    def run(text: str) -> None:
        name = world.url.rsplit("/", 1)[1]
        with psycopg.connect(postgres_server.url_of(name, user="postgres"), autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(text)

    return run


def test_lines_are_numbered_without_gaps_and_hang_together(world, told):
    events = world.ledger.events(told)
    assert [event.seq for event in events] == list(range(1, 8))
    assert [event.previous for event in events] == ["", *(event.hash for event in events[:-1])]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert world.ledger.verify_chain(told) is None
    assert [event.seq for event in world.ledger.events(told, after_seq=5)] == [6, 7]


def test_lines_from_everywhere_at_once_hang_together(world):
    incident = world.open()
    race([lambda: [world.ledger.append(incident, [TOLD, TOLD]) for _ in range(5)]] * 8)
    assert [event.seq for event in world.ledger.events(incident)] == list(range(1, 82))
    assert world.ledger.verify_chain(incident) is None


@pytest.mark.parametrize(
    "edit",
    [
        "update byteport.events set text = 'nothing'",
        "delete from byteport.events where seq = 3",
        "truncate byteport.events",
    ],
)
def test_a_line_is_neither_edited_nor_removed(world, told, edit):
    with pytest.raises(psycopg.Error, match="append-only"):
        world.sql(edit)
    assert len(world.ledger.events(told)) == 7


def test_nobody_chooses_a_number_or_a_hash(world, told):
    world.sql(
        """
        insert into byteport.events (incident, seq, at, kind, text, data, previous, hash)
        values (%s, 2, '2000-01-01Z', 'forged', '', '{}', '', 'x')
        """,
        told,
    )
    last = world.ledger.events(told)[-1]
    assert (last.kind, last.seq, last.at.year > 2000) == ("forged", 8, True)
    assert world.ledger.verify_chain(told) is None


@pytest.mark.parametrize(
    ("forgery", "broken"),
    [
        ("update byteport.events set text = 'nothing' where seq = 3", 3),
        ("update byteport.events set data = '{}' where seq = 4", 4),
        ("update byteport.events set at = at - interval '1 second' where seq = 5", 5),
        ("delete from byteport.events where seq = 4", 4),
        ("delete from byteport.events where seq = 7", 7),
        ("delete from byteport.events where seq > 2", 3),
        ("delete from byteport.events", 1),
        ("update byteport.events set hash = 'x' where seq = 7", 7),
        (f"{REHASHED} where seq = 7", 7),
        (f"{REHASHED} where seq = 3", 4),
    ],
)
def test_a_forgery_past_the_triggers_shows(world, told, intruder, forgery, broken):
    intruder(forgery)
    assert world.ledger.verify_chain(told) == broken


def test_an_open_incident_is_not_deleted(world, told):
    with pytest.raises(psycopg.Error, match="is open"):
        world.sql("delete from byteport.incidents")
    assert world.ledger.incident(told) is not None


def test_a_line_for_an_unknown_incident_is_bad_input(world):
    with pytest.raises(BadInput):
        world.ledger.append("inc-none", [TOLD])


def test_a_postmortem_is_kept_and_written_again(world):
    incident = world.open()
    assert world.ledger.postmortem(incident) is None
    story = Postmortem(incident=incident, record={"a": 1}, markdown="# Pool")
    world.move(incident, postmortem=story)
    world.move(incident, postmortem=story.with_(markdown="# Pool full"))
    assert world.ledger.postmortem(incident) == story.with_(markdown="# Pool full")


def test_retention_forgets_old_closed_incidents_and_nothing_else(world):
    old, lease = world.acting("db-1")
    intent = world.begin(world.intent(old, lease, once(per=3600), key="i1"), lease)
    world.ledger.settle(intent, Done())
    young, waiting, unsent = world.open("db-2"), world.open("db-3"), world.open("db-4")
    world.travel(41)
    world.move(old, phase=Phase.CLOSED, ending="resolved")
    world.move(unsent, phase=Phase.CLOSED, ending="resolved", messages=(world.message(),))
    world.travel(600)
    world.move(young, phase=Phase.CLOSED, ending="resolved")
    assert world.ledger.forget_before(timedelta(seconds=300)) == 1
    assert {line.id for line in world.ledger.listing()} == {young, waiting, unsent}
    assert world.ledger.events(old) == []
    assert world.ledger.find_intent("i1") is None
    assert world.sql("select claim_key from byteport.spends") == [{"claim_key": "kills:server-1"}]
    assert world.ledger.verify_chain(young) is None


def test_forgetting_gives_no_budget_back_until_its_window_has_passed(world):
    incident, lease = world.acting()
    world.ledger.settle(world.begin(world.intent(incident, lease, once(per=3600), key="i1"), lease), Done())
    world.travel(41)
    world.move(incident, phase=Phase.CLOSED, ending="resolved")
    world.travel(600)
    world.ledger.forget_before(timedelta(seconds=300))
    with world.ledger.begin_rebuild() as (_, spends):
        assert [spend.intent for spend in spends] == ["i1"]
    world.travel(3600)
    world.ledger.forget_before(timedelta(seconds=300))
    assert world.sql("select * from byteport.spends") == []


def test_the_chain_of_an_incident_that_is_not_there_is_not_whole(world):
    assert world.ledger.verify_chain("inc-none") == 1
    incident = world.open()
    world.move(incident, phase=Phase.CLOSED, ending="resolved")
    assert world.ledger.verify_chain(incident) is None
    world.sql("delete from byteport.incidents where id = %s", incident)
    assert world.ledger.verify_chain(incident) == 1
