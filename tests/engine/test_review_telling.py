"""People are told, whatever else goes wrong: bugs of pages, stored values nobody can read, channels that break."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from byteport.engine.drive import exit_code
from byteport.engine.outbox import Outbox
from byteport.errors import Transient
from byteport.grammar.plan import Plan, Undo
from byteport.grammar.runbook import Escalation
from byteport.model.signal import Severity
from byteport.model.units import hours, minutes
from byteport.records.delivery import Delivery, Receipt
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.world import Notebook, World


def buggy(_story: Any) -> Any:
    raise ZeroDivisionError("the page divides by nothing")


BUGGY = replace(
    pages.page("ward_buggy", pages.one, verify=pages.NEVER_WELL),
    escalate=Escalation(channels=("slack",), once_per=hours(1), summary=buggy, manual=buggy, bundle=buggy, fix=buggy),
)


def back_when_never(e: pages.WardEvidence) -> Plan:
    back = Undo(action=pages.SetValve(name=pages.key(e), was=7, to=0), when="never", by=minutes(10))
    return Plan(steps=(pages.SET(undo=back, name=pages.key(e), was=0, to=7),))


def back_at_once(e: pages.WardEvidence) -> Plan:
    back = Undo(action=pages.SetValve(name=pages.key(e), was=7, to=0), by=minutes(10))
    return Plan(steps=(pages.SET(undo=back, name=pages.key(e), was=0, to=7),))


OWING = pages.page("ward_owing", back_when_never, verify=pages.NEVER_WELL)
BACK = pages.page("ward_back", back_at_once, verify=pages.NEVER_WELL)


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, BUGGY, OWING, BACK)


def sql(world: World, text: str, *values: Any) -> None:
    with psycopg.connect(world.url) as connection:
        connection.execute(text, values)


def sent(world: World) -> list[str]:
    return [delivery.message.kind for delivery in world.notebook.sent]


def steps(world: World, incident: str, n: int) -> None:
    for _ in range(n):
        world.step(incident)
    world.engine().deliver_due()


def test_a_page_whose_words_are_broken_is_told_of_without_them_and_closes_with_a_postmortem(world: World) -> None:
    incident = world.run(world.open("ward_buggy"))
    assert incident.phase is Phase.ESCALATE
    assert sent(world) == ["escalation"]
    assert "ZeroDivisionError" in str(world.notebook.sent[0].message.bundle)
    world.ledger.command(incident.id, "close", "ada", "seen")
    assert world.run(incident.id).ending == "closed"
    assert "ZeroDivisionError" in world.ledger.postmortem(incident.id).markdown


def test_intents_that_nobody_can_read_any_more_do_not_keep_people_from_being_told(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.VERIFY)
    unknown = Jsonb({"kind": "gone.page:Gone", "schema": 1, "fields": {}})
    sql(world, "update byteport.intents set action = %s where incident = %s", unknown, incident)
    sql(world, "update byteport.incidents set phase = 'escalate', reason = 'adopted' where id = %s", incident)
    ended = world.run(incident, most=4)
    assert ended.escalated_at is not None
    assert sent(world) == ["escalation"]
    assert "gone.page:Gone" in world.notebook.sent[0].message.text
    travel(world.url, 300)
    world.run(incident, most=4)
    assert sent(world) == ["escalation"]


def test_an_incident_that_kills_whoever_escalates_it_is_told_in_plain_words(world: World) -> None:
    incident = world.open("ward_one")
    sql(
        world,
        "update byteport.incidents set phase = 'escalate', reason = 'worn', claims_in_vain = 7 where id = %s",
        incident,
    )
    assert world.run(incident, most=2).escalated_at is not None
    assert sent(world) == ["escalation"]


def test_an_undo_that_fails_after_people_were_told_is_told_too_and_once(world: World) -> None:
    incident = world.run(world.open("ward_owing"))
    assert incident.phase is Phase.ESCALATE
    assert sent(world) == ["escalation"]
    travel(world.url, 601)
    steps(world, incident.id, 8)
    assert sent(world) == ["escalation", "escalation"]
    assert "never did not come true by its deadline" in world.notebook.sent[1].message.text
    travel(world.url, 600)
    steps(world, incident.id, 4)
    assert len(world.notebook.sent) == 2
    assert world.ward.valve("v1").value == 7


def test_an_undo_that_fails_while_a_person_closes_is_told_before_it_closes(world: World) -> None:
    incident = world.run(world.open("ward_owing"))
    world.ledger.command(incident.id, "close", "ada", "enough")
    held = world.run(incident.id, most=6)
    assert held.phase is Phase.WRITE_UP
    travel(world.url, 601)
    told = world.run(incident.id, most=20)
    assert told.phase is Phase.ESCALATE
    assert told.ending == ""
    assert exit_code(told) == 3
    steps(world, incident.id, 2)
    assert sent(world) == ["escalation", "escalation"]
    world.ledger.command(incident.id, "close", "ada", "I did it by hand")
    assert world.run(incident.id).ending == "closed"


def test_an_undo_whose_target_stops_answering_is_told_and_its_incident_can_be_closed(world: World) -> None:
    incident = world.open("ward_back")
    world.run(incident, until=Phase.ESCALATE)
    sql(world, "update valves set broken = true")
    for _ in range(30):
        world.step(incident)
        travel(world.url, 31)
    world.engine().deliver_due()
    assert "escalation" in sent(world)
    world.ledger.command(incident, "close", "ada", "the valve is gone")
    ended = world.run(incident)
    assert ended.phase is Phase.CLOSED
    assert all(intent.outcome is not None for intent in world.ledger.intents_of(incident))


def test_an_undo_that_was_ended_while_it_was_begun_does_not_keep_the_incident_open(world: World) -> None:
    incident = world.open("ward_owing")
    world.run(incident)
    row = "select i.id, o.intent, o.step, i.version from byteport.incidents i join byteport.obligations o on o.incident = i.id"
    sql(
        world,
        f"""insert into byteport.intents (key, incident, step, direction, move, action, claims, pre_state, attempts,
                opened_at, begun_at)
            select 'iundo', t.incident, t.step, 'undo', t.move, t.action, '[]', '{{}}', 1, byteport.clock(), byteport.clock()
            from byteport.intents t where t.incident = %s and exists ({row})""",
        incident,
    )
    travel(world.url, 601)
    steps(world, incident, 6)
    world.ledger.command(incident, "close", "ada", "by hand")
    assert world.run(incident).phase is Phase.CLOSED


class Broken(Notebook):
    """A channel with a bug."""

    def send(self, delivery: Delivery) -> Receipt:
        raise KeyError("blocks")


def test_a_channel_with_a_bug_holds_nobody_else_up(world: World) -> None:
    world.ward.prepare("v1", "v2", stuck=True)
    first, second = world.run(world.open("ward_one", "v1"), deliver=False), world.open("ward_one", "v2")
    sql(world, "update byteport.deliveries set channel = 'odd', message = message || '{\"channel\": \"odd\"}'")
    world.run(second, deliver=False)
    journal = Notebook("journal")
    channels = {"odd": Broken("odd"), "slack": world.notebook, "journal": journal}
    Outbox(world.ledger, channels).deliver_due()
    assert [delivery.incident for delivery in world.notebook.sent] == [second]
    assert [delivery.incident for delivery in journal.sent] == [first.id]


def test_a_higher_severity_is_told_again_and_an_equal_one_is_not(world: World) -> None:
    world.ward.prepare("v1", stuck=True)
    incident = world.run(world.open("ward_one"))
    world.engine().take(world.signal("ward_one"))
    world.step(incident.id)
    world.engine().deliver_due()
    assert len(world.notebook.sent) == 1
    for _ in range(2):
        world.engine().take(world.signal("ward_one", severity=Severity.CRITICAL))
        world.step(incident.id)
    world.engine().deliver_due()
    assert len(world.notebook.sent) == 2


def test_an_escalated_incident_that_a_person_closes_has_its_postmortem(world: World) -> None:
    world.ward.prepare("v1", stuck=True)
    incident = world.run(world.open("ward_one"))
    world.ledger.command(incident.id, "close", "ada", "replaced the valve")
    assert world.run(incident.id).ending == "closed"
    record = world.ledger.postmortem(incident.id).record
    assert record["reason"] == "closed by ada: replaced the valve"
    assert record["times"]["seconds_to_escalate"] is not None
    assert sent(world) == ["escalation", "resolution"]


def test_a_move_that_never_succeeds_is_tried_for_years(world: World) -> None:
    def no_answer(_target: object) -> dict[str, str]:
        raise Transient("no answer")

    incident = world.open("ward_back")
    world.run(incident, until=Phase.ESCALATE)
    sql(world, "update byteport.incidents set state = state || '{\"hiccups\": 500}' where id = %s", incident)
    world.policy = replace(world.policy, annotations=no_answer)
    moved = world.step(incident)
    assert moved is not None
    assert 0 < world.wait_of(incident) <= 120
    world.policy = replace(world.policy, annotations=lambda _target: {})
    travel(world.url, 121)
    assert world.run(incident).undone
