"""Who treats what `run` opens: the fleet that is alive on these stores, or else this very process."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from byteport.cli.scene import person

if TYPE_CHECKING:
    from byteport.cli.live import View
    from byteport.engine.engine import Engine
    from byteport.grammar.runbook import Runbook
    from byteport.model.signal import Signal
    from byteport.model.target import Target
    from byteport.records.incident import Incident
    from byteport.stores_signals import Admission
    from byteport.wiring import Wired

FLEET = frozenset({"probe", "act", "decide"})


@dataclass(frozen=True)
class Asked:
    """What the person asked for."""

    runbook: str
    target: Target
    dry_run: bool
    longest: timedelta


@dataclass(frozen=True)
class Treated:
    incident: Incident
    admission: Admission


def fleet_lives(world: Wired) -> bool:
    """Workers of every kind, with this very configuration, have been heard of lately."""
    return world.ledger.living_roles(world.policy.configuration) >= FLEET


def by_the_fleet(world: Wired, asked: Asked, show: View, stop: threading.Event) -> Treated:
    """On the connections that the fleet keeps: a database that is full has none for anybody else. Where no worker takes
    it up, it is driven from here after all."""
    from byteport import wiring
    from byteport.engine.drive import drive, follow

    admission = _taken(world.engine, asked, "", show)
    seen = _before(world, admission)
    incident = follow(
        world.engine, admission.incident, longest=asked.longest, on_event=show.event, stop=stop, seen=seen
    )
    if incident is None:
        show.note("no worker has taken it up: it is driven from here")
        with wiring.build(world.settings, role="drive") as hands:
            hands.open()
            incident = drive(
                hands.engine, admission.incident, longest=asked.longest, on_event=show.event, stop=stop, seen=seen + 1
            )
    return Treated(incident, admission)


def by_ourselves(world: Wired, asked: Asked, show: View, stop: threading.Event) -> Treated:
    """Over connections of this process, which alone moves the incident; a fleet leaves it alone."""
    from byteport import wiring
    from byteport.engine.drive import drive
    from byteport.errors import Unavailable

    driver = f"run-{socket.gethostname()}-{os.getpid()}"
    with wiring.build(world.settings, role="drive", driver=driver) as hands:
        admission = _taken(hands.engine, asked, driver, show)
        hands.open()
        try:
            incident = drive(
                hands.engine, admission.incident, longest=asked.longest, on_event=show.event, stop=stop,
                seen=_before(world, admission),
            )  # fmt: skip
        finally:  # whatever is left of it, the next signal's work among it, is the fleet's at once
            if not stop.is_set():  # who stopped it has a minute to cancel it
                with suppress(Unavailable):
                    hands.ledger.leave_to_fleet(driver)
    return Treated(incident, admission)


def _taken(engine: Engine, asked: Asked, driver: str, show: View) -> Admission:
    from byteport.engine.intake import ByHand
    from byteport.errors import BadInput
    from byteport.model.signal import Mode

    page = engine.pages[asked.runbook]
    by_hand = ByHand(person(), Mode.DRY_RUN if asked.dry_run else Mode.LIVE, page.name, driver)
    if page.target is not asked.target.kind:
        ways = {"database": "--db", "host": "--host", "service": "--host and --unit"}
        raise BadInput("target", f"{page.name} is about a {page.target}: {ways.get(page.target, 'signal send')}")
    admission = engine.take(_signal(page, asked.target), by_hand)
    if admission is None:
        raise BadInput("signal", "one that fires")
    show.opened(admission, page, asked.target.key, asked.dry_run)
    return admission


def _before(world: Wired, admission: Admission) -> int:
    """The last journal line before this run's own signal: an incident that was open already has a past."""
    if not admission.absorbed:
        return 0
    signals = [event.seq for event in world.ledger.events(admission.incident) if event.kind == "signal"]
    return max(signals, default=1) - 1


def _signal(page: Runbook, target: Target) -> Signal:
    from byteport.model.signal import Severity, Signal

    claimed = page.signals[0]
    return Signal(
        name=claimed.name,
        source="cli",
        target=target,
        fired_at=datetime.now(UTC),
        severity=Severity(claimed.severity),
        summary=f"started by {person()}",
    )
