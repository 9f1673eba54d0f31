"""People are told once, again where nobody takes it, and no more often than an incident's budget allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from byteport.errors import BadInput
from byteport.model.signal import Mode, Severity
from byteport.records.delivery import Delivery
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.ward.world import World

QUARTER = 15 * 60


def told(world: World, kind: str = "") -> list[Delivery]:
    world.engine().deliver_due()
    return [one for one in world.notebook.sent if not kind or one.message.kind == kind]


def escalated(world: World, severity: Severity = Severity.CRITICAL, valve: str = "v1", **more) -> str:
    """Whatever is wrong is none of the page's classes: a person's, in any mode."""
    incident = world.open("ward_one", valve, severity=severity, **more)
    world.ward.set(valve, "leaking", False)
    assert world.run(incident).phase is Phase.ESCALATE
    return incident


def later(world: World, incident: str, seconds: float = QUARTER) -> None:
    travel(world.url, seconds + 1)
    world.step(incident)


def test_a_page_that_nobody_acknowledges_is_repeated_in_its_thread_and_louder(world: World) -> None:
    incident = escalated(world)
    (first,) = told(world)
    assert first.message.buttons == ("ack",)
    later(world, incident, QUARTER - 60)
    assert len(told(world)) == 1
    later(world, incident, 60)
    _, again = told(world)
    assert again.repeat_of == "n1"
    assert again.message.loud
    assert again.message.text.startswith("nobody has acknowledged this for 15 min: ")


def test_who_acknowledges_is_told_once_and_ends_the_repeating(world: World) -> None:
    incident = escalated(world)
    told(world)
    world.ledger.command(incident, "ack", "ada", "on it")
    world.step(incident)
    (word,) = told(world, "acknowledgement")
    assert (word.message.text, word.repeat_of) == ("ada has taken it", "n1")
    world.ledger.command(incident, "ack", "bob", "me too")
    world.step(incident)
    later(world, incident)
    assert len(told(world)) == 2
    assert world.now(incident).acknowledged_by == "ada"


def test_no_more_than_the_budget_of_an_incident(world: World) -> None:
    incident = escalated(world)
    for _ in range(9):
        later(world, incident)
    assert len(told(world, "escalation")) == 5
    world.ledger.command(incident, "close", "ada", "seen by chance")
    assert world.run(incident).phase is Phase.CLOSED
    assert len(told(world, "resolution")) == 1


def test_a_spent_budget_is_written_down_where_it_gets_worse(world: World) -> None:
    world.policy = replace(world.policy, notifications=1)
    incident = escalated(world, Severity.WARNING)
    world.engine().take(world.signal("ward_one", severity=Severity.CRITICAL))
    world.step(incident)
    assert len(told(world)) == 1
    assert any("the 1 notifications of an incident are spent" in text for text in world.texts(incident, "untold"))
    assert world.now(incident).severity_told == "critical"


@pytest.mark.parametrize(
    ("severity", "mode"), [(Severity.WARNING, Mode.LIVE), (Severity.INFO, Mode.LIVE), (Severity.CRITICAL, Mode.DRY_RUN)]
)
def test_what_is_no_page_is_not_repeated(world: World, severity: Severity, mode: Mode) -> None:
    incident = escalated(world, severity, mode=mode)
    later(world, incident)
    later(world, incident)
    assert len(told(world)) == 1


def test_what_has_cleared_is_not_repeated(world: World) -> None:
    incident = escalated(world)
    world.engine().take(world.signal("ward_one").with_(resolved=True))
    world.step(incident)
    later(world, incident, 60 * 5)
    assert len(told(world, "escalation")) == 1


def test_how_it_ended_is_told_where_it_was_told_first(world: World) -> None:
    incident = escalated(world)
    told(world)
    world.ledger.command(incident, "close", "ada", "mended")
    assert world.run(incident).phase is Phase.CLOSED
    (end,) = told(world, "resolution")
    assert (end.repeat_of, end.closes) == ("n1", True)


def test_what_a_storm_stands_on_is_not_closed_with_one_of_its_incidents(world: World) -> None:
    """A storm's incidents were told of in one message."""
    world.ledger.storm_threshold = 1
    first, second, third = (escalated(world, valve=f"v{n}") for n in (1, 2, 3))
    told(world)
    storm = {one.incident for one in told(world, "escalation") if "storm" in one.message.title}
    assert storm == {second}, "the third said the same"
    for one in (second, third):
        world.ledger.command(one, "close", "ada", "mended")
        world.run(one)
    assert told(world, "resolution") == [], "of a storm its own end is told"
    world.engine().tend()
    travel(world.url, 20 * 60)
    world.engine().tend()
    world.engine().deliver_due(100)
    assert [one.message.title for one in told(world, "notice")] == ["ward_one: storm is over"]
    world.ledger.command(first, "close", "ada", "mended")
    world.run(first)
    world.engine().tend()
    world.engine().deliver_due(100)
    *_, last = told(world, "resolution")
    assert (last.message.title, last.closes) == ("ward_one: storm is over, and nothing of it left", True)


def test_a_plan_that_waits_is_asked_for_with_its_steps_and_its_digest(world: World) -> None:
    incident = world.open("ward_one", mode=Mode.APPROVE, severity=Severity.CRITICAL)
    waits = world.run(incident)
    assert waits.awaits_approval
    assert waits.plan is not None
    (asked,) = told(world)
    assert asked.message.kind == "approval"
    assert asked.message.buttons == ("approve", "cancel")
    assert asked.message.plan == waits.plan.digest
    assert "1. pulse on valve:v1" in asked.message.text
    world.ledger.command(incident, "approve", "ada", "go", waits.plan.digest)
    while world.now(incident).phase is Phase.PLAN:
        assert world.step(incident) is not None
    assert world.run(incident).ending == "resolved"
    (word,) = told(world, "acknowledgement")
    assert (word.message.text, word.repeat_of) == ("approved by ada", "n1")
    (end,) = told(world, "resolution")
    assert end.repeat_of == "n1"


def test_an_approval_after_its_deadline_is_refused(world: World) -> None:
    incident = world.open("ward_one", mode=Mode.APPROVE)
    world.run(incident)
    travel(world.url, 30 * 60 + 1)
    with pytest.raises(BadInput, match="comes too late"):
        world.ledger.command(incident, "approve", "ada", "go")
    assert world.run(incident).phase is Phase.ESCALATE
    assert world.ward.effects() == []


def test_a_plan_that_somebody_cancels_at_the_question_ends_there(world: World) -> None:
    incident = world.open("ward_one", mode=Mode.APPROVE)
    world.run(incident)
    told(world)
    world.ledger.command(incident, "cancel", "ada", "not now")
    assert world.run(incident).ending == "cancelled"
    (end,) = told(world, "resolution")
    assert end.repeat_of == "n1"
    assert world.ward.effects() == []


def test_the_team_of_a_signal_is_told_before_everybody(world: World) -> None:
    teams = {"v1": "pumps"}
    world.policy = replace(
        world.policy,
        channels=("slack", "slack/pumps"),
        team=lambda _runbook, signal: teams.get(signal.target.key, ""),
    )
    escalated(world)
    escalated(world, valve="v2")
    with_channels = [
        delivery.message.channel
        for incident in world.ledger.listing()
        for delivery in world.ledger.deliveries_of(incident.id)
    ]
    assert sorted(with_channels) == ["slack", "slack/pumps"]
