"""People hear of each matter, and of none twice: slow senders, frozen senders, storms, and what came after the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from byteport.engine.outbox import Outbox
from byteport.records.delivery import Delivery, Receipt
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.ward import pages
from tests.ward.breaking import OWING
from tests.ward.world import Notebook, World


@pytest.fixture(autouse=True)
def more_pages(world: World) -> None:
    world.pages = (*pages.ALL, OWING)


def stuck(world: World, *valves: str) -> list[str]:
    """Escalated, and nothing delivered yet."""
    world.ward.prepare(*valves, stuck=True)
    return [world.run(world.open("ward_one", valve), deliver=False).id for valve in valves]


def escalations(world: World) -> int:
    return [sent.message.kind for sent in world.notebook.sent].count("escalation")


# -- senders -----------------------------------------------------------------------------------------------------------
@dataclass
class Slow(Notebook):
    """Its first sending takes a minute, in which another worker delivers too."""

    meanwhile: Callable[[], object] = lambda: None

    def send(self, delivery: Delivery) -> Receipt:
        receipt = super().send(delivery)
        if len(self.sent) == 1:
            self.meanwhile()
        return receipt


def test_a_batch_that_is_sent_slowly_doubles_nothing(world: World) -> None:
    stuck(world, "v1", "v2")
    slack = Slow()
    outbox = Outbox(world.ledger, {"slack": slack, "journal": slack})

    def another_worker() -> None:
        travel(world.url, 61)
        outbox.deliver_due()

    slack.meanwhile = another_worker
    outbox.deliver_due()
    ids = [delivery.id for delivery in slack.sent]
    assert len(ids) == len(set(ids)) == 2


class Frozen:
    """A ledger whose caller stands still for a minute after it has taken its batch, while another worker delivers."""

    def __init__(self, world: World) -> None:
        self.world, self.ledger, self.frozen = world, world.ledger, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    def deliveries_due(self, limit: int = 20) -> list[Delivery]:
        taken: list[Delivery] = self.ledger.deliveries_due(limit)
        if not self.frozen:
            self.frozen = True
            travel(self.world.url, 61)
            Outbox(self.ledger, {"slack": self.world.notebook}).deliver_due()
        return taken


def test_a_sender_that_is_frozen_for_a_minute_says_nothing_twice(world: World) -> None:
    stuck(world, "v1")
    world.ledger = Frozen(world)
    world.engine().deliver_due()
    assert len(world.notebook.sent) == 1


# -- matters -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("word", ["close", "cancel"])
def test_a_new_incident_after_a_person_ended_the_last_is_told(world: World, word: str) -> None:
    (first,) = stuck(world, "v1")
    world.ledger.command(first, word, "ada", "fixed")
    world.run(first)
    travel(world.url, 20 * 60)
    second = world.run(world.open("ward_one"))
    assert second.id != first
    assert escalations(world) == 2
    assert world.notebook.sent[-1].repeat_of == ""


def test_a_new_incident_after_the_last_recovered_by_itself_adds_to_what_was_told(world: World) -> None:
    (first,) = stuck(world, "v1")
    world.engine().deliver_due()
    world.engine().take(world.signal("ward_one", resolved=True))
    travel(world.url, 11 * 60)
    world.run(first, until=Phase.CLOSED)
    while world.now(first).phase is not Phase.CLOSED:
        world.step(first)
    travel(world.url, 11 * 60)  # the cooldown
    world.run(world.open("ward_one"))
    assert escalations(world) == 2
    assert world.notebook.sent[-1].repeat_of == "n1"


def test_a_repeat_within_one_incident_is_told_once(world: World) -> None:
    (incident,) = stuck(world, "v1")
    world.engine().take(world.signal("ward_one"))
    world.run(incident)
    assert escalations(world) == 1


# -- storms ------------------------------------------------------------------------------------------------------------
def storm(world: World, runbook: str, broken: bool) -> list[str]:
    for n in range(30):
        world.ward.prepare(f"v{n}", broken=broken)
    return [world.open(runbook, f"v{n}") for n in range(30)]


@pytest.mark.parametrize("broken", [True, False], ids=["inconclusive", "held back"])
def test_in_a_storm_people_hear_once(world: World, broken: bool) -> None:
    for incident in storm(world, "ward_one", broken):
        world.run(incident, most=8, deliver=False)
        assert world.now(incident).escalated_at is not None
    for _ in range(4):
        world.engine().deliver_due()
    assert [sent.message.title for sent in world.notebook.sent] == ["ward_one: storm"]


def test_what_was_begun_before_a_storm_and_fails_in_it_is_no_message_of_its_own(world: World) -> None:
    begun = world.open("ward_failing", "v99")
    world.run(begun, until=Phase.VERIFY)
    for incident in [*storm(world, "ward_failing", broken=True), begun]:
        world.run(incident, most=8, deliver=False)
    assert world.now(begun).phase is Phase.ESCALATE
    for _ in range(4):
        world.engine().deliver_due()
    assert escalations(world) == 1


def test_what_a_storm_leaves_behind_at_a_target_is_told_by_itself(world: World) -> None:
    begun = world.open("ward_owing", "v99")
    world.run(begun, until=Phase.VERIFY)
    storm(world, "ward_owing", broken=False)
    world.run(begun, deliver=False)
    travel(world.url, 601)
    for _ in range(6):
        world.step(begun)
    world.engine().deliver_due()
    assert "undo of" in world.notebook.sent[-1].message.text
