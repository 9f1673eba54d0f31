"""Real workers on a real broker: the chain runs to the first wait, carries ids, and survives what happens to messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from byteport.records.incident import Phase
from tests.crowd import Crowd, is_alive
from tests.patients import Patient
from tests.servers import OwnRedis, eventually
from tests.workers.workshop import Workshop

pytestmark = pytest.mark.real
Sick = tuple[Patient, Crowd]


def test_the_chain_runs_to_the_first_wait_without_any_clock(fleet: Callable[..., Workshop], sick: Sick) -> None:
    shop = fleet("probe", "act", "decide")
    shop.go_live()
    incident = shop.until(shop.signal(), Phase.VERIFY)
    assert incident.diagnosis is not None
    assert incident.diagnosis.name == "idle_in_tx_backlog"
    waiting = timedelta(seconds=20)
    due_at = eventually(lambda: (at := shop.incident(incident.id).due_at) - datetime.now(UTC) > waiting and at)
    assert due_at - datetime.now(UTC) <= timedelta(seconds=31)
    assert [is_alive(one) for one in sick[1].people] == [False] * 12
    assert len(shop.world.ledger.intents_of(incident.id)) == 1


def test_in_dry_run_the_chain_ends_with_the_plan_and_ends_nobodys_session(
    fleet: Callable[..., Workshop], sick: Sick
) -> None:
    shop = fleet("probe", "act", "decide")
    incident = shop.until(shop.signal(), Phase.CLOSED)
    assert incident.word == "rehearsed", shop.story(incident.id)
    assert "rehearsal" in shop.kinds(incident.id)
    assert all(is_alive(one) for one in sick[1].people)
    assert shop.world.ledger.intents_of(incident.id) == []


def test_messages_that_come_ten_times_do_everything_once(fleet: Callable[..., Workshop]) -> None:
    shop = fleet("probe", "act", "decide")
    shop.go_live()
    incident_id = shop.signal()
    bells = shop.world.engine.wakeups
    for _ in range(10):
        for phase in (Phase.OPEN, Phase.CLASSIFY, Phase.ACT, Phase.VERIFY, Phase.ESCALATE):
            bells.ring(incident_id, phase)
        bells.send_groups(incident_id, [(1, "database"), (1, "no such group"), (7, "database")])
    shop.until(incident_id, Phase.VERIFY)
    (intent,) = shop.world.ledger.intents_of(incident_id)
    assert intent.attempts == 1
    assert shop.kinds(incident_id).count("diagnosis") == 1
    assert shop.kinds(incident_id).count("plan") == 1


def test_messages_about_unknown_incidents_harm_nobody(fleet: Callable[..., Workshop]) -> None:
    shop = fleet("probe", "act", "decide")
    bells = shop.world.engine.wakeups
    for phase in (Phase.OPEN, Phase.CLASSIFY, Phase.ACT, Phase.VERIFY, Phase.ESCALATE):
        bells.ring("no-such-incident", phase)
    bells.send_groups("no-such-incident", [(1, "database")])
    assert shop.until(shop.signal(), Phase.CLOSED).word == "rehearsed"


def test_kept_connections_one_in_the_probe_worker_and_one_in_each_acting_child(
    fleet: Callable[..., Workshop], sick: Sick
) -> None:
    fleet("probe", "act", "decide")
    counted = "SELECT application_name AS name, count(*) AS n FROM pg_stat_activity WHERE usename IN ('looker', 'actor') GROUP BY 1"

    def kept() -> dict[str, int]:
        return {row["name"]: row["n"] for row in sick[0].run(counted)}

    assert eventually(lambda: kept() == {"byteport-probe": 1, "byteport-act": 2} and kept(), within=10)


def test_the_broker_restarts_with_nothing_in_it_and_the_incident_goes_on(
    fleet: Callable[..., Workshop], own_redis: Callable[..., OwnRedis]
) -> None:
    server = own_redis(durable=False)
    shop = fleet("probe", "act", "decide", "beat", broker_url=server.url)
    server.stop()
    incident_id = shop.signal()  # stored, and not rung: there is nothing to ring
    assert shop.incident(incident_id).phase is Phase.OPEN
    server.restart(forgetting=True)
    assert shop.until(incident_id, Phase.CLOSED, within=60).word == "rehearsed"


def test_a_lost_ring_is_swept(fleet: Callable[..., Workshop]) -> None:
    shop = fleet("probe", "act", "decide")
    import redis

    shop.stop()
    incident_id = shop.signal()
    with redis.Redis.from_url(shop.world.settings.broker_dsn) as client:
        client.flushall()
    shop.start("probe", "act", "decide", "beat")
    assert shop.until(incident_id, Phase.CLOSED, within=20).word == "rehearsed"


def test_a_kept_connection_that_was_lost_is_opened_again_before_it_is_needed(
    fleet: Callable[..., Workshop], sick: Sick
) -> None:
    fleet("probe", "act")
    sick[0].restart()
    counted = (
        "SELECT usename AS name, count(*) AS n FROM pg_stat_activity WHERE usename IN ('looker', 'actor') GROUP BY 1"
    )

    def kept() -> dict[str, int]:
        return {row["name"]: row["n"] for row in sick[0].run(counted)}

    assert eventually(lambda: kept() == {"looker": 1, "actor": 2} and kept(), within=25, every=0.2)
