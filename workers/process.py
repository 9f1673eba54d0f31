"""What one worker process holds: its wiring, built on first use and never shared with a forked child."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import lru_cache

from billiard.util import get_pdeathsig

from byteport import wiring
from byteport.engine.engine import Engine
from byteport.settings import Settings
from workers.app import app
from workers.wakeups import CeleryWakeups

_building = threading.Lock()
_parents: list[wiring.Wired] = []  # before the fork; closed, and kept for what was read only once


def wired() -> wiring.Wired:
    """This process's wiring, for the role that its worker was started with."""
    with _building:
        return _wired_in(os.getpid())


def engine() -> Engine:
    return wired().engine


def wakeups() -> CeleryWakeups:
    return CeleryWakeups(app)


@lru_cache(maxsize=1)
def _wired_in(_pid: int) -> wiring.Wired:
    return _built()


def _built() -> wiring.Wired:
    """A child's as its parent's, whose settings and pages it shares."""
    like = _parents[0] if _parents else None
    settings = like.settings if like is not None else Settings.load()
    return wiring.build(settings, role=app.conf.get("byteport_role") or "cli", wakeups=wakeups(), like=like)


def preload() -> None:
    """Load, before the fork, every library and page that the children will use, and keep no connection of it.

    Raises Permanent where a store may forget what it was told: nothing acts on such a one.
    """
    with _built() as prepared:
        prepared.check_stores()
        prepared.preload()
    _parents[:] = [prepared]
    with suppress(OSError):
        get_pdeathsig()  # sets up what each child sets it with: else a C parser and its tables in every one of them
