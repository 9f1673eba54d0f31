"""The two savings at the broker leave what is sent as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery
from kombu import Connection

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
