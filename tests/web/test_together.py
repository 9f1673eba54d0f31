"""Signals that come at the same time: stored together, answered each for itself, and workers woken afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from byteport.web.bells import MOST_WAITING, Bells
from tests.servers import eventually
from tests.web.conftest import Service
from tests.web.test_intake import signed


def message(signal: dict[str, Any], n: int, **more: Any) -> bytes:
    target = {**signal["target"], "key": f"db{n}/shop"}
    return json.dumps(
        {**{k: v for k, v in signal.items() if k != "source"}, "target": target, "event_id": f"e-{n}", **more}
    ).encode()


def test_many_at_once_are_each_stored_and_answered_for_itself(service: Service, signal: dict[str, Any]) -> None:
    told = [message(signal, n) for n in range(30)]
    told += [message(signal, 30, name="weather"), message(signal, 3), message(signal, 4, event_id="another")]
    with service.anybody() as client, ThreadPoolExecutor(len(told)) as pool:
        answers = list(pool.map(lambda m: client.post("/webhooks/generic", content=m, headers=signed(m)), told))
    assert [one.status_code for one in answers] == [202] * 30 + [422, 202, 202]
    assert "claimed by no enabled runbook" in answers[30].json()["detail"]
    became = {one.json()["incident"] for one in answers if one.status_code == 202}
    listed = service.world.ledger.listing()
    assert became == {line.id for line in listed}
    assert (len(listed), sum(line.signals for line in listed)) == (30, 31)
    assert answers[3].json()["duplicate"] is not answers[31].json()["duplicate"]


def test_a_large_message_is_taken_as_a_small_one_is(service: Service, signal: dict[str, Any]) -> None:
    told = message(signal, 1, raw={"lines": ["x" * 100] * 1000})
    with service.anybody() as client:
        assert client.post("/webhooks/generic", content=told, headers=signed(told)).status_code == 202
    assert len(service.world.ledger.listing()) == 1


def test_workers_are_woken_for_everything_though_the_broker_takes_its_time() -> None:
    rung: list[str] = []
    broker = threading.Event()

    def ring_all(incidents: Sequence[str]) -> None:
        assert broker.wait(20)
        rung.extend(incidents)

    bells = Bells(ring_all)
    for n in range(500):
        bells.ring([f"i{n}"])  # returns, whatever the broker does
    assert rung == []
    broker.set()
    assert eventually(lambda: len(rung) == 500, within=20)
    assert rung == [f"i{n}" for n in range(500)]


def test_what_a_broker_does_not_take_for_long_is_left_to_the_sweeper() -> None:
    rung: list[str] = []
    broker = threading.Event()
    bells = Bells(lambda incidents: (broker.wait(20), rung.extend(incidents))[1])
    bells.ring(["i0"])
    assert eventually(lambda: not bells.waiting, within=20)
    bells.ring([f"i{n}" for n in range(MOST_WAITING)])
    bells.ring(["too much"])
    broker.set()
    assert eventually(lambda: len(rung) == MOST_WAITING + 1, within=20)
    assert "too much" not in rung
