"""The named tasks: each is one engine call and carries ids. A task that comes twice, late or never does no harm.

Every task that moves an incident ends the same way: it asks for what is still to be looked at, and rings for what the
incident needs now; a wait is a date, which the sweeper keeps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any

import structlog
from celery import Task

from byteport.grammar.plan import Do
from byteport.records.incident import Incident, Phase
from byteport.stores_abandoned import Due
from workers import sweeping
from workers.app import app
from workers.process import engine, wakeups, wired
from workers.roles import limit_of

log: Any = structlog.get_logger("byteport.tasks")

DELIVERIES_AT_ONCE = 20
STAND_IN_AT_ONCE = 20
SPARE_SECONDS = 3.0
DECISION_SECONDS = 5.0
# What a process that looks can decide as well: everything but acting and telling people.
LOOKING = (Phase.OPEN, Phase.PROBE, Phase.CLASSIFY, Phase.PLAN, Phase.VERIFY, Phase.WRITE_UP)
_at_most = {
    "byteport.sweep": threading.Semaphore(1),
    "byteport.deliver": threading.Semaphore(2),
    "byteport.tend": threading.Semaphore(1),
}


@app.task(name="byteport.diagnose", bind=True)
def diagnose(self: Task, incident_id: str) -> None:
    """Open the incident, ask what is asked quickly, fan out the rest over the fleet; with all answers, or at the
    deadline with those that came, diagnose by the ordered rules and freeze the plan."""
    _run(self, incident_id, *LOOKING)


@app.task(name="byteport.probe", bind=True)
def probe(self: Task, incident_id: str, round_: int, group_name: str) -> None:
    """Look, store the evidence; whoever stores the last piece goes on from the incident's own phase."""
    looked = engine().look(incident_id, round_, group_name)
    if looked.completes_the_round and looked.phase:
        if looked.phase in LOOKING:
            _run(self, incident_id, *LOOKING)
        else:
            wakeups().ring(incident_id, Phase(looked.phase))


@app.task(name="byteport.classify", bind=True)
def classify(self: Task, incident_id: str) -> None:
    """Diagnose, and plan, where that was interrupted."""
    _run(self, incident_id, Phase.PROBE, Phase.CLASSIFY, Phase.PLAN)


@app.task(name="byteport.remediate", bind=True)
def remediate(self: Task, incident_id: str) -> None:
    """Act until the plan waits or ends, or this task's time is up, and ask for the first look afterwards; settle what
    an ending incident left behind."""
    _run(self, incident_id, Phase.ACT, Phase.VERIFY, with_hands=(Phase.ESCALATE, Phase.WRITE_UP))


@app.task(name="byteport.verify", bind=True)
def verify(self: Task, incident_id: str) -> None:
    """Look at what is due to be looked at and check it; write the postmortem and close."""
    _run(self, incident_id, *LOOKING, look_first=True)


@app.task(name="byteport.escalate", bind=True)
def escalate(self: Task, incident_id: str) -> None:
    """Tell people; an escalated incident rests here until it closes."""
    _run(self, incident_id, Phase.ESCALATE, Phase.WRITE_UP)
    deliver.apply_async(retry=False)


@app.task(name="byteport.deliver")
def deliver() -> None:
    """Carry messages out; a channel that is down delays only its own."""
    with _unless_enough("byteport.deliver") as free:
        if free:
            engine().deliver_due(limit=DELIVERIES_AT_ONCE)


@app.task(name="byteport.poll")
def poll(source: str) -> None:
    """Ask a source for signals."""
    if source == "database":
        if (databases := wired().databases) is not None:
            databases.poll()
    elif (poller := wired().pollers.get(source)) is not None:
        wired().polling.poll(poller)


@app.task(name="byteport.sweep")
def sweep() -> None:
    """Wake what is due: waits, lapsed leases, lost probes, late diagnoses, undo deadlines. What no acting worker takes
    up is told to people, and rung for all the same."""
    with _unless_enough("byteport.sweep") as free:
        if free:
            sweeping.sweep(engine(), _wake)


@app.task(name="byteport.tend")
def tend() -> None:
    """Housekeeping: incidents whose page nobody has, retention, this process's own addresses."""
    with _unless_enough("byteport.tend") as free:
        if free:
            engine().tend()


@app.task(name="byteport.anchor")
def anchor() -> None:
    """Put one digest over all journals into the log: who rewrites the ledger does not reach it there."""
    made = engine().anchor()
    log.info("journal_anchor", incidents=made.incidents, digest=made.digest, as_of=made.as_of.isoformat())


def _wake(found: Sequence[Due]) -> None:
    for due in found:
        wakeups().ring(due.incident, due.phase, wants_hands=due.wants_hands)
    _stand_in([due.incident for due in found if due.unattended])


def _stand_in(incidents: Sequence[str]) -> None:
    """Some at a time; one that cannot be moved keeps none of the others from being told."""
    for incident in incidents[:STAND_IN_AT_ONCE]:
        try:
            engine().stand_in(incident)
        except Exception:
            log.exception("not_told", incident=incident)


def _run(
    task: Task, incident_id: str, *phases: Phase, with_hands: tuple[Phase, ...] = (), look_first: bool = False
) -> None:
    """Move while it is due now, in one of this task's phases, and while the next move fits into the task's time; look
    where this process can; ask for what is still to be looked at, and ring for what is due."""
    fits = fits_into(limit_of(task.name))
    go_on = partial(engine().run, incident_id, frozenset(phases), fits, with_hands)
    moved = go_on(look_first=look_first)
    while engine().has_eyes and is_open(moved) and (moved is None or fits(moved)):
        looked = engine().eyes.here(incident_id)
        if looked is None or not looked.completes_the_round or (following := go_on()) is None:
            break
        moved = following
    if moved is not None and (moved.is_due_now or _is_for_other_eyes(moved)):
        wakeups().ring(moved.id, moved.phase, wants_hands=moved.wants_hands)
    elif is_open(moved):
        wakeups().send_groups(incident_id, engine().groups_to_send(incident_id))


def _is_for_other_eyes(moved: Incident) -> bool:
    """A round is out, and the task of its phase is for a process that asks by itself."""
    return moved.pending > 0 and not engine().has_eyes and moved.phase in LOOKING


def is_open(incident: Incident | None) -> bool:
    """Whether a round may be out: it is, or this process has not seen how the incident stands."""
    return incident is None or incident.pending > 0


def fits_into(limit: float) -> Callable[[Incident], bool]:
    """Whether another move may begin: its action's time-out must leave 3 s of this task's, counted from now."""
    until = monotonic() + limit - SPARE_SECONDS
    return lambda incident: monotonic() + _longest(incident) < until


def _longest(incident: Incident) -> float:
    """Seconds that the incident's next move may take: its action's time-out, or what a decision takes at most."""
    plan = incident.plan
    if incident.phase is Phase.ACT and plan is not None and incident.cursor < len(plan.steps):
        step = plan.steps[incident.cursor]
        if isinstance(step, Do):
            return step.action.timeout.total_seconds()
    return DECISION_SECONDS


@contextmanager
def _unless_enough(task: str) -> Iterator[bool]:
    """Whether one more may run in this process: slow channels must not take the threads that decide and sweep."""
    free = _at_most[task].acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            _at_most[task].release()
