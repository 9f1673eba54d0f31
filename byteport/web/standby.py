"""The thread of the web process that looks after the broker; see `byteport.engine.standby`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from byteport.adapters.redis_client import Door
from byteport.engine.standby import Standby
from byteport.errors import BytePortError

if TYPE_CHECKING:
    from byteport.wiring import Wired

EVERY_SECONDS = 2.0
log: Any = structlog.get_logger("byteport.web")


@contextmanager
def standing_by(world: Wired) -> Iterator[None]:
    """Look after the broker for as long as the block lasts; without a broker in the settings there is nothing to do."""
    url = world.settings.in_clear("broker_url")
    if url is None:
        yield
        return
    door, stop = Door(url), threading.Event()
    standby = Standby(world.engine, door.answers)
    thread = threading.Thread(target=_look_after, args=(standby, stop), name="standby", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
        door.close()


def _look_after(standby: Standby, stop: threading.Event) -> None:
    stood_in = False
    while not stop.wait(EVERY_SECONDS):
        try:
            done = standby.once()
        except BytePortError as problem:
            log.warning("standby_failed", error=str(problem))
            continue
        except Exception:  # the thread must outlive a bug in a channel or a page
            log.exception("standby_failed")
            continue
        if standby.steps_in is not stood_in:
            stood_in = standby.steps_in
            log.warning("standing_in_for_the_broker" if stood_in else "the_broker_is_back")
        if done:
            log.info("stood_in", done=done)
