"""Doorbells: what is rung for which phase, that messages carry ids and nothing else, and that ringing never raises."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from celery import Celery

from byteport.embedded import free_port
from byteport.records.incident import Phase
from byteport.settings import Settings
from tests.proxy import TcpProxy
from tests.servers import OwnRedis
from workers.app import celery_settings
from workers.roles import QUEUE_OF, ROLES
from workers.wakeups import TASK_FOR, CeleryWakeups, task_for


def bells(broker_url: str) -> CeleryWakeups:
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_settings(Settings(broker_url=broker_url)))
    return CeleryWakeups(app)


def messages(url: str, queue: str) -> list[dict[str, Any]]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return [json.loads(raw) for raw in client.lrange(queue, 0, -1)]


def body_of(message: dict[str, Any]) -> list[Any]:
    found: list[Any] = json.loads(base64.b64decode(message["body"]))
    return found


def test_every_phase_but_closed_has_a_task_and_every_task_a_queue_that_somebody_serves() -> None:
    served = {queue for role in ROLES.values() for queue in role.queues}
    assert set(TASK_FOR) == set(Phase) - {Phase.CLOSED}
    assert {QUEUE_OF[task] for task in TASK_FOR.values()} <= served
    assert set(QUEUE_OF.values()) == served


def test_what_must_be_settled_at_the_target_goes_to_the_acting_workers_only() -> None:
    assert {QUEUE_OF[str(task_for(phase, wants_hands=True))] for phase in TASK_FOR} == {"act"}
    assert task_for(Phase.CLOSED, wants_hands=True) is None


def test_probing_and_acting_share_no_worker() -> None:
    assert "act" not in ROLES["probe"].queues
    assert ROLES["act"].queues == ("act",)


def test_a_ring_carries_the_incident_and_nothing_else(redis_url: str) -> None:
    bells(redis_url).ring("i1", Phase.OPEN)
    (message,) = messages(redis_url, "probe")
    args, kwargs, embedded = body_of(message)
    assert (message["headers"]["task"], args, kwargs) == ("byteport.diagnose", ["i1"], {})
    assert embedded["chain"] is None
    assert message["headers"]["expires"] is not None


def test_many_rings_are_the_messages_that_each_would_have_been(redis_url: str) -> None:
    bell = bells(redis_url)
    bell.ring("i0", Phase.OPEN)
    bell.ring_all(["i1", "i2"], Phase.OPEN)
    third, second, first = messages(redis_url, "probe")
    assert [body_of(m) for m in (first, second, third)] == [
        [[name], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}] for name in ("i0", "i1", "i2")
    ]
    own = ("id", "root_id", "expires", "argsrepr")
    assert {k: v for k, v in first["headers"].items() if k not in own} == {
        k: v for k, v in third["headers"].items() if k not in own
    }
    assert all(
        m["headers"]["expires"] and m["properties"]["delivery_info"]["routing_key"] == "probe" for m in (first, third)
    )
    assert second["headers"]["id"] != third["headers"]["id"]


def test_probe_groups_are_one_message_each(redis_url: str) -> None:
    bells(redis_url).send_groups("i1", [(1, "postgres"), (1, "pgbouncer")])
    assert sorted(body_of(m)[0] for m in messages(redis_url, "probe")) == [
        ["i1", 1, "pgbouncer"],
        ["i1", 1, "postgres"],
    ]


def test_no_groups_are_no_message(redis_url: str) -> None:
    bells(redis_url).send_groups("i1", [])
    assert messages(redis_url, "probe") == []


@pytest.mark.parametrize(
    ("phase", "queue", "task"),
    [
        (Phase.CLASSIFY, "decide", "byteport.classify"),
        (Phase.ACT, "act", "byteport.remediate"),
        (Phase.VERIFY, "probe", "byteport.verify"),
        (Phase.ESCALATE, "notify", "byteport.escalate"),
    ],
)
def test_the_task_of_the_phase_is_rung_where_it_is_done(redis_url: str, phase: Phase, queue: str, task: str) -> None:
    bells(redis_url).ring("i1", phase)
    (message,) = messages(redis_url, queue)
    assert (message["headers"]["task"], body_of(message)[0]) == (task, ["i1"])


def test_a_closed_incident_is_not_rung(redis_url: str) -> None:
    bells(redis_url).ring("i1", Phase.CLOSED)
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("*") == []


def test_ringing_at_a_broker_that_is_gone_neither_raises_nor_hangs() -> None:
    began = time.monotonic()
    gone = bells(f"redis://127.0.0.1:{free_port()}/0")
    gone.ring("i1", Phase.OPEN)
    gone.ring_all(["i1", "i2"], Phase.OPEN)
    gone.send_groups("i1", [(1, "postgres")])
    assert time.monotonic() - began < 10


def test_the_same_bell_rings_again_when_the_broker_is_back(own_redis: Callable[..., OwnRedis]) -> None:
    server = own_redis(durable=False)
    bell = bells(server.url)
    bell.ring("i1", Phase.OPEN)
    server.stop()
    bell.ring("i2", Phase.OPEN)
    bell.ring_all(["i2"], Phase.OPEN)
    server.restart()
    bell.ring("i3", Phase.OPEN)
    bell.ring_all(["i4"], Phase.OPEN)
    assert [body_of(m)[0] for m in messages(server.url, "probe")] == [["i4"], ["i3"]]


def test_ringing_at_a_broker_that_has_stopped_answering_ends_soon(
    own_redis: Callable[..., OwnRedis], tcp_proxy: Callable[[int], TcpProxy]
) -> None:
    server = own_redis(durable=False)
    door = tcp_proxy(int(server.url.rpartition(":")[2].partition("/")[0]))
    bell = bells(door.through(server.url))
    bell.ring("i1", Phase.OPEN)
    door.stall()
    began = time.monotonic()
    bell.ring("i2", Phase.OPEN)
    assert time.monotonic() - began < 15
    door.restore()
    bell.ring_all(["i3"], Phase.OPEN)
    assert ["i3"] in [body_of(m)[0] for m in messages(server.url, "probe")]
