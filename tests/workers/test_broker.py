"""What is saved at the broker leaves what is sent as it is, and loses nothing that a worker puts down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery
from kombu import Connection
from redis import Redis

from byteport.settings import Settings
from workers.app import celery_settings


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    app = Celery("broker", set_as_current=False)
    app.conf.update(celery_settings(Settings(broker_url=redis_url)))
    with app.connection_for_write() as made:
        yield made


def test_a_channel_keeps_one_client_for_a_pool(connection: Connection) -> None:
    channel = connection.default_channel
    first = channel._create_client()
    assert channel._create_client() is first
    channel._after_fork()  # as the library calls it in a child: its sockets are the parent's
    assert channel._create_client() is not first
    assert channel._create_client().ping()


def test_the_client_that_waits_for_messages_is_another(connection: Connection) -> None:
    channel = connection.default_channel
    assert channel._create_client(asynchronous=True) is not channel._create_client()


def test_what_is_published_arrives_once(connection: Connection) -> None:
    with connection.SimpleQueue("bench") as queue:
        for n in range(3):
            queue.put({"n": n})
        found = [queue.get(timeout=5) for _ in range(3)]
        assert [message.payload["n"] for message in found] == [0, 1, 2]
        for message in found:
            message.ack()
        with pytest.raises(queue.Empty):
            queue.get(block=False)


def test_what_was_taken_is_kept_by_who_took_it_alone(connection: Connection, redis_url: str) -> None:
    with connection.SimpleQueue("bench") as queue, Redis.from_url(redis_url) as server:
        queue.put({"n": 1})
        queue.get(timeout=5)
        assert [key for key in server.scan_iter("*") if b"unacked" in key or key == b"bench"] == []


def test_what_was_taken_and_not_done_goes_back_when_its_worker_stops(connection: Connection, redis_url: str) -> None:
    queue = connection.SimpleQueue("bench")
    for n in range(3):
        queue.put({"n": n})
    taken = [queue.get(timeout=5) for _ in range(3)]
    taken[1].ack()
    queue.close()
    queue.channel.close()
    another = Celery("another", broker=redis_url, set_as_current=False)
    with another.connection_for_read() as other, other.SimpleQueue("bench") as left:
        assert sorted(left.get(timeout=5).payload["n"] for _ in range(2)) == [0, 2]
        with pytest.raises(left.Empty):
            left.get(block=False)
