"""`byteport up`: run the fleet on this machine until it is told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from byteport.embedded.fleet import FLOWER_USER, Addresses, Fleet
from byteport.settings import Settings

LOOK_EVERY = 0.5
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(settings: Settings, say: Callable[[str], None], config: Path | None = None) -> int:
    """Run until Ctrl-C or TERM; 0 when everything ended cleanly. Raises NotStarted. A second Ctrl-C makes it hurry.

    `config` is the configuration's file where it was named: the members read it too.
    """
    fleet = Fleet(settings, say, config=config)
    with told_to_stop(lambda: setattr(fleet, "in_haste", True)) as stop:
        with fleet.running() as addresses:
            for line in greeting(addresses):
                say(line)
            while not stop.wait(LOOK_EVERY):
                fleet.tend()
            say("stopping: running tasks may finish (Ctrl-C again: at once)")
        say("stopped")
    return 0


def greeting(addresses: Addresses) -> tuple[str, ...]:
    """What people need to get in."""
    return (
        f"console  {addresses.console}",
        f"token    {addresses.token}",
        f"flower   {addresses.flower} (user {FLOWER_USER}, password in {addresses.data_dir / 'flower-password'})",
        f"data     {addresses.data_dir} (logs in {addresses.data_dir / 'logs'})",
        "Ctrl-C stops everything; the data is kept",
    )


@contextmanager
def told_to_stop(again: Callable[[], None] = lambda: None) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C, TERM or HUP sets; every further one calls `again`."""
    stop = threading.Event()

    def hear(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            again()
        stop.set()

    before = {number: signal.signal(number, hear) for number in STOPS}
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)
