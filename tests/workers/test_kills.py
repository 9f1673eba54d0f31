"""SIGKILL at the worst moments: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from byteport.records.incident import Phase
from tests.crowd import Crowd, is_alive
from tests.patients import Patient
from tests.proxy import TcpProxy
from tests.servers import eventually
from tests.workers.workshop import Workshop

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
Sick = tuple[Patient, Crowd]


def test_a_probe_worker_killed_while_it_looks(
    fleet: Callable[..., Workshop], sick: Sick, tcp_proxy: Callable[[int], TcpProxy]
) -> None:
    door = tcp_proxy(sick[0].port)
    shop = fleet("probe", "act", "decide", "beat", via=str(door.port))
    door.stall()
    incident_id = shop.signal()
    shop.until(incident_id, Phase.PROBE)
    eventually(lambda: "byteport.probe" in shop.log("decide") or shop.incident(incident_id).pending > 0, within=5)
    shop.kill("probe")
    door.restore()
    shop.start("probe")
    incident = shop.until(incident_id, Phase.CLOSED, within=60)
    assert incident.word == "rehearsed", shop.story(incident_id)
    assert incident.diagnosis is not None
    assert incident.diagnosis.name == "idle_in_tx_backlog"
    assert incident.round == 1


def test_an_acting_child_killed_while_its_statement_is_out(
    fleet: Callable[..., Workshop], sick: Sick, tcp_proxy: Callable[[int], TcpProxy]
) -> None:
    """The answer never comes back and the child dies: the next one looks, and nothing is ended a second time."""
    door = tcp_proxy(sick[0].port)
    shop = fleet("probe", "act", "decide", "beat", via=str(door.port))
    shop.go_live()
    children = {child.pid for child in shop.children("act")}
    incident_id = shop.signal()
    eventually(lambda: shop.world.ledger.intents_of(incident_id), within=20, every=0.005)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    incident = shop.until(incident_id, Phase.VERIFY, Phase.ESCALATE, Phase.CLOSED, within=60)
    assert incident.phase is Phase.VERIFY, shop.story(incident_id)
    (intent,) = shop.world.ledger.intents_of(incident_id)
    assert intent.outcome is not None
    assert intent.attempts <= 2
    assert [is_alive(one) for one in sick[1].people] == [False] * 12
    assert {child.pid for child in shop.children("act")}.isdisjoint(children)


def test_the_children_of_a_killed_acting_worker_die_with_it(fleet: Callable[..., Workshop]) -> None:
    shop = fleet("act")
    children = [child.pid for child in shop.children("act")]
    assert len(children) == 2
    shop.kill("act")
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in children), within=5)
    assert not any(psutil.pid_exists(pid) for pid in children)


def test_a_dead_child_is_replaced_and_the_new_one_keeps_a_connection_too(
    fleet: Callable[..., Workshop], sick: Sick
) -> None:
    shop = fleet("act")
    before = {child.pid for child in shop.children("act")}
    os.kill(min(before), signal.SIGKILL)
    counted = "SELECT count(*) AS n FROM pg_stat_activity WHERE usename = 'actor'"
    eventually(lambda: len({child.pid for child in shop.children("act")} - before) == 1, within=15)
    assert eventually(lambda: sick[0].run(counted)[0]["n"] == 2, within=15)


def test_every_worker_killed_at_once_and_started_again(fleet: Callable[..., Workshop]) -> None:
    shop = fleet("probe", "act", "decide", "beat")
    incident_id = shop.signal()
    for role in ("decide", "probe", "act", "beat"):
        shop.kill(role)
    shop.start("probe", "act", "decide", "beat")
    incident = shop.until(incident_id, Phase.CLOSED, within=90)
    assert incident.word == "rehearsed", shop.story(incident_id)
    assert shop.kinds(incident_id).count("plan") == 1
