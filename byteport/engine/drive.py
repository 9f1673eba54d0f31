"""Drive one incident from this process, until it rests: for `byteport run`, and for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

from byteport.engine.engine import Engine
from byteport.errors import Unavailable
from byteport.model.units import minutes
from byteport.records.event import StoredEvent
from byteport.records.evidence import Looked
from byteport.records.incident import Incident, Phase

BEAT = 0.1
UNTAKEN = 15.0  # seconds; a living fleet takes an incident up within one, its sweeper within eleven


def rests(incident: Incident) -> bool:
    """Nothing more happens to it without a person, a signal, or days."""
    told = incident.phase is Phase.ESCALATE and incident.escalated_at is not None
    return incident.phase is Phase.CLOSED or incident.awaits_approval or told


def drive(
    engine: Engine,
    incident_id: str,
    *,
    longest: timedelta = minutes(30),
    on_event: Callable[[StoredEvent], None] = lambda _event: None,
    stop: threading.Event | None = None,
    seen: int = 0,
) -> Incident:
    """Look, move and deliver until the incident rests; every journal line after `seen` is passed on once, in order.

    Raises Unavailable when the ledger is gone, or at `longest`.
    """
    deadline = time.monotonic() + longest.total_seconds()
    halt = stop or threading.Event()
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="drive") as pool:
        looking: list[Future[Looked]] = []
        while True:
            looking = [look for look in looking if not look.done()]
            looking += [
                pool.submit(engine.look, incident_id, n, group) for n, group in engine.groups_to_send(incident_id)
            ]
            moved = engine.move(incident_id)
            for event in engine.ledger.events(incident_id, seen):
                on_event(event)
                seen = event.seq
            incident = engine.ledger.incident(incident_id)
            if incident is None or time.monotonic() > deadline:
                raise Unavailable(f"incident {incident_id} did not come to rest within {longest}")
            if rests(incident) and (moved is None or not moved.is_due_now):
                engine.deliver_due()
                return incident
            if (moved is None or not moved.is_due_now) and halt.wait(BEAT):
                return incident


def follow(
    engine: Engine,
    incident_id: str,
    *,
    longest: timedelta = minutes(30),
    on_event: Callable[[StoredEvent], None] = lambda _event: None,
    stop: threading.Event | None = None,
    seen: int = 0,
) -> Incident | None:
    """Watch the fleet treat it until it rests; every journal line after `seen` is passed on once, in order. None where
    nothing has happened to it for `UNTAKEN` from the start: no worker has taken it up.

    Raises Unavailable when the ledger is gone, or at `longest`.
    """
    began, halt, first = time.monotonic(), stop or threading.Event(), seen
    while True:
        for event in engine.ledger.events(incident_id, seen):
            on_event(event)
            seen = event.seq
        incident = engine.ledger.incident(incident_id)
        waited = time.monotonic() - began
        if incident is None or waited > longest.total_seconds():
            raise Unavailable(f"incident {incident_id} did not come to rest within {longest}")
        if rests(incident) or halt.wait(BEAT):
            return incident
        if waited > UNTAKEN and incident.phase is Phase.OPEN and seen <= first + 1:
            return None


def exit_code(incident: Incident) -> int:
    """What `byteport run` exits with; 4 before 5 before 3, a rehearsal is always 0."""
    if incident.phase is Phase.CLOSED or incident.ending:
        settled = {"resolved": 0, "rehearsed": 0, "suppressed": 0, "recovered": 0, "handed_over": 7}
        if incident.ending == "suppressed" and incident.blocked_by_guard:
            return 4
        return settled.get(incident.ending, 3)
    if incident.phase is Phase.PLAN:
        return 6
    if incident.acted_at is None and incident.blocked_by_guard:
        return 4
    return 5 if incident.undone else 3
