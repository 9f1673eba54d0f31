"""One row that a process cannot read costs nobody else anything, and people hear of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.engine.standby import Standby
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.ward.breaking import sql
from tests.ward.world import World

A_FIELD_MORE = '{"newer": 1}'
NO_MESSAGE = '{"kind": 7, "severity": []}'
ANOTHER_TARGET = '{"target": {"kind": "service", "key": "v1", "newer": 1}}'
NO_SIGNAL = '{"name": 7}'


def break_signal(world: World, incident: str, by: str) -> None:
    sql(world, "update byteport.incidents set signal = signal || %s::jsonb where id = %s", by, incident)


@pytest.mark.parametrize("by", [A_FIELD_MORE, NO_MESSAGE], ids=["a field more", "unreadable"])
def test_a_delivery_that_cannot_be_read_holds_nobody_up_and_is_told_in_its_words(world: World, by: str) -> None:
    world.ward.prepare("v1", "v2", stuck=True)
    first = world.run(world.open("ward_one", "v1"), deliver=False)
    second = world.run(world.open("ward_one", "v2"), deliver=False)
    sql(world, "update byteport.deliveries set message = message || %s::jsonb where incident = %s", by, first.id)
    assert world.engine().deliver_due() == 2
    assert [sent.incident for sent in world.notebook.sent] == [first.id, second.id]
    assert world.notebook.sent[0].message.title == "ward_one: v1 escalated"
    assert [delivery.state for delivery in world.ledger.deliveries_of(first.id)] == ["sent"]


def test_a_signal_with_a_field_more_is_read_without_it(world: World) -> None:
    incident = world.open("ward_one")
    break_signal(world, incident, A_FIELD_MORE)
    assert world.run(incident).ending == "resolved"


@pytest.mark.parametrize("by", [ANOTHER_TARGET, NO_SIGNAL], ids=["target", "signal"])
@pytest.mark.parametrize("phase", [Phase.PROBE, Phase.ACT, Phase.VERIFY])
def test_an_incident_whose_row_cannot_be_read_comes_to_people_once(world: World, by: str, phase: Phase) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=phase)
    done = len(world.ward.effects())
    break_signal(world, incident, by)
    for _ in range(8):
        world.step(incident)
        world.engine().deliver_due()
        travel(world.url, 61)
    (sent,) = world.notebook.sent
    assert sent.message.title == "ward_one: v1 escalated"
    assert "its stored signal cannot be read here" in sent.message.text
    assert len(world.ward.effects()) == done


def test_an_incident_whose_row_cannot_be_read_is_closed_by_a_person(world: World) -> None:
    incident = world.open("ward_one")
    break_signal(world, incident, NO_SIGNAL)
    assert world.run(incident).phase is Phase.ESCALATE
    world.ledger.command(incident, "close", "ada", "seen")
    assert world.run(incident).phase is Phase.CLOSED


def test_an_incident_that_cannot_be_read_does_not_stop_the_housekeeping(world: World) -> None:
    incident = world.open("ward_one")
    break_signal(world, incident, NO_SIGNAL)
    sql(world, "update byteport.incidents set page = 'older' where id = %s", incident)
    old = world.open("ward_one", "v2", mode=Mode.DRY_RUN)
    world.run(old)
    travel(world.url, 91 * 86400)
    world.engine().tend()
    assert world.ledger.incident(old) is None


def test_the_standby_delivers_although_one_row_cannot_be_read(world: World) -> None:
    world.ward.prepare("v2", stuck=True)
    poisoned = world.open("ward_one")
    break_signal(world, poisoned, NO_SIGNAL)
    sql(world, "update byteport.incidents set phase = 'escalate' where id = %s", poisoned)
    other = world.run(world.open("ward_one", "v2"), deliver=False).id
    Standby(world.engine(), broker_answers=lambda: False, patience=timedelta(0)).once()
    assert {sent.incident for sent in world.notebook.sent} == {poisoned, other}
