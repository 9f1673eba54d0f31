"""A full pool is told of although each look at it is taken by a process that lives for no other."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from tests.workers.workshop import ROOT, Workshop

ONE_LOOK = """
from byteport import wiring
from byteport.settings import Settings
with wiring.build(Settings.load(), role="probe", wakeups=wiring.NoDoorbell()) as wired:
    wired.databases.poll()
"""


def look(shop: Workshop) -> list[str]:
    """One look by a process of its own; which targets have incidents after it."""
    argv = [sys.executable, "-P", "-c", ONE_LOOK]
    subprocess.run(argv, env=shop.environment, cwd=ROOT, check=True, capture_output=True, timeout=30)
    return [line.target for line in shop.world.ledger.listing()]


def test_a_pool_that_stays_full_is_told_of_by_processes_that_each_see_it_once(fleet: Callable[..., Workshop]) -> None:
    shop = fleet(pollers={"database": {"period": 3, "threshold": 0.5, "sustained": 6}})
    began, found = time.monotonic(), look(shop)
    assert found == []
    while not found and time.monotonic() - began < 25:
        time.sleep(1.6)
        found = look(shop)
    assert time.monotonic() - began >= 6
    assert found == [f"database:{shop.world.settings.databases['shop'].key}"]
