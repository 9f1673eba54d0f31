"""Limits that hold, stores that forget or are gone; each with a twin where the act happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from byteport.engine.policy import Policy
from byteport.errors import Unavailable
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.ward.asking import flush, refused_by, with_policy
from tests.ward.breaking import Between
from tests.ward.world import World


def test_a_budget_of_one_a_day(world: World) -> None:
    assert world.run(world.open("ward_limited")).ending == "resolved"
    travel(world.url, timedelta(hours=1).total_seconds())
    world.ward.set("v1", "leaking", True)
    again = world.run(world.open("ward_limited"))
    assert again.phase is Phase.ESCALATE
    assert refused_by(world, again.id) == ["turns_a_day"]
    assert len(world.ward.effects()) == 1
    assert world.run(world.open("ward_limited", "v2")).ending == "resolved"


def test_a_ceiling_holds_for_one_incident(world: World) -> None:
    incident = world.run(world.open("ward_ceiled"))
    assert incident.phase is Phase.ESCALATE
    assert refused_by(world, incident.id) == ["per_incident"]
    assert len(world.ward.effects()) == 1


def test_a_flushed_budgets_store_is_rebuilt_and_forgets_nothing(world: World) -> None:
    assert world.run(world.open("ward_limited")).ending == "resolved"
    flush(world.redis_url)
    travel(world.url, timedelta(hours=1).total_seconds())
    world.ward.set("v1", "leaking", True)
    again = world.run(world.open("ward_limited"))
    assert refused_by(world, again.id) == ["turns_a_day"]
    assert len(world.ward.effects()) == 1


class Gone:
    """A store that cannot be reached."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def gone(*_args: Any, **_more: Any) -> Any:
            raise Unavailable("connection refused")

        return gone


def test_without_the_budgets_store_nothing_is_written_and_people_are_told(world: World) -> None:
    budgets, world.budgets = world.budgets, Gone()
    incident = world.run(world.open("ward_one"))
    assert incident.phase is Phase.ESCALATE
    assert refused_by(world, incident.id) == ["budgets_store"]
    assert [d.message.kind for d in world.notebook.sent] == ["escalation"]
    assert world.ward.effects() == []
    world.budgets = budgets
    assert world.run(world.open("ward_one", "v2")).ending == "resolved"


def test_budgets_that_go_away_as_they_are_rebuilt_are_a_refusal_and_no_crash(world: World) -> None:
    """And the act happens as soon as they can be."""
    assert world.run(world.open("ward_one", "v0")).ending == "resolved"
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    with world.ledger.begin_rebuild():
        pass  # a new epoch that the store has not heard of
    world.budgets = Between(world.budgets, "rebuild", _unavailable)
    for _ in range(3):
        world.step(incident)
    assert world.ward.effects("v1") == []
    assert refused_by(world, incident) == ["budgets_epoch"]
    assert world.run(incident).ending == "resolved"
    assert len(world.ward.effects("v1")) == 1


def _unavailable() -> None:
    raise Unavailable("connection refused")


def test_without_the_ledger_a_signal_is_never_answered_with_success(world: World) -> None:
    signal = world.signal("ward_one")
    ledger, world.ledger = world.ledger, Gone()
    with pytest.raises(Unavailable):
        world.engine().take(signal)
    world.ledger = ledger
    assert world.ledger.listing() == []


def test_no_more_than_the_policy_allows_are_under_remediation_at_once(world: World) -> None:
    with_policy(world, max_concurrent=1)
    first, second = world.open("ward_failing", "v1"), world.open("ward_one", "v2")
    world.run(first, until=Phase.VERIFY)
    world.run(second, until=Phase.ACT)
    world.step(second)
    assert world.ward.effects("v2") == []
    assert "remediations" in world.texts(second, "verdict")[0]
    world.run(first)
    assert world.run(second).ending == "resolved"


def test_a_storm_is_diagnosed_and_told_once_and_not_remediated(world: World) -> None:
    with_policy(world, storm_threshold=20)
    opened = [world.open("ward_one", f"v{n}") for n in range(25)]
    ended = [world.run(incident) for incident in opened]
    assert {incident.phase for incident in ended} == {Phase.ESCALATE}
    assert world.ward.effects() == []
    assert all(incident.diagnosis for incident in ended)
    assert len(world.notebook.sent) == 1


def test_the_first_day_of_a_live_runbook_is_slow(world: World) -> None:
    world.policy = Policy(channels=("slack",))
    assert world.run(world.open("ward_one", "v1")).ending == "resolved"
    second = world.run(world.open("ward_one", "v2"))
    assert refused_by(world, second.id) == ["first_day_rate"]
    assert world.run(world.open_by_hand("ward_one", "v3")).ending == "resolved"
    assert len(world.ward.effects()) == 2


@pytest.mark.parametrize("known", [True, False])
def test_a_guard_whose_fact_is_unknown_denies(world: World, known: bool) -> None:
    incident = world.open("ward_requiring")
    world.run(incident, until=Phase.ACT)
    if not known:
        world.ward.set("v1", "broken", True)
        travel(world.url, 31)
    world.run(incident)
    assert bool(world.ward.effects()) is known


def test_ten_writes_in_ten_minutes_for_one_server(world: World) -> None:
    ends = []
    for n in range(11):
        world.ward.prepare("v1")
        world.ward.set("v1", "leaking", True)
        incident = world.run(world.open("ward_one"))
        ends.append(incident.phase)
        world.ledger.command(incident.id, "close", "ada", "next") if incident.phase is not Phase.CLOSED else None
        travel(world.url, 1 if n % 2 else 0)
    assert len(world.ward.effects()) <= 10
