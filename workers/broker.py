"""Two savings at the broker, measured with `make bench`: both leave what is sent, and to whom, as it is."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.worker.consumer.events import Events
from kombu.transport import redis

EVENTS_EVERY = 0.5  # seconds; Flower shows a task that much later


class Channel(redis.Channel):
    """kombu makes a client object for every publish and acknowledgement, which costs more than the command. A client
    holds nothing but its pool, and is made for being shared: one for as long as the pool lives."""

    kept: tuple[Any, Any] | None = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        if self.kept is None or self.kept[0] is not self.pool:  # a forked child has a pool of its own
            self.kept = (self.pool, super()._create_client())  # type: ignore[no-untyped-call]
        return self.kept[1]


class Transport(redis.Transport):
    """kombu's Redis transport with that channel."""

    Channel = Channel


class EventsInBatches(bootsteps.StartStopStep):
    """A worker's events leave it every half second, together; Celery publishes those of each turn of its loop."""

    requires = (Events,)

    def __init__(self, consumer: Any, **more: Any) -> None:
        self.timer: Any = None
        super().__init__(consumer, **more)

    def start(self, consumer: Any) -> None:
        if consumer.event_dispatcher is not None and consumer.hub is not None:
            consumer.event_dispatcher.on_send_buffered = None
            self.timer = consumer.timer.call_repeatedly(EVENTS_EVERY, consumer._flush_events)

    def stop(self, consumer: Any) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        consumer._flush_events()
