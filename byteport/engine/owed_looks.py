"""A look that is owed later: by an incident that ended partially resolved, taken by another that writes nothing.

Between the two there is a date in the ledger and nothing else: no claim, no lock, no place for acting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog

from byteport.engine.pages import Pages
from byteport.engine.work import Work
from byteport.errors import BytePortError, Unavailable
from byteport.grammar.diagnosis import Diagnosis
from byteport.grammar.runbook import LookAgain
from byteport.grammar.verdict import Verdict
from byteport.records.change import Change
from byteport.records.event import Event
from byteport.records.incident import Incident, Phase
from byteport.stores import Ledger, Wakeups
from byteport.stores_signals import Opening

log: Any = structlog.get_logger("byteport.engine")


def owed_by(work: Work) -> LookAgain | None:
    """Once: whoever only looks again owes nothing."""
    incident = work.incident
    return work.page.look_again if incident.ending == "partially_resolved" and not incident.follows else None


def promised(work: Work, again: LookAgain | None) -> Iterator[Event]:
    """The line of the journal that it closes with."""
    if again is not None:
        at = work.now + again.after
        yield Event(kind="look_owed", text=f"{again.check} at {at:%H:%M:%S}", data={"at": at.isoformat()})


def take_due(ledger: Ledger, pages: Pages, wakeups: Wakeups) -> int:
    """Open an incident for each that is due; how many. One that cannot be opened keeps none of the others waiting."""
    opened = 0
    for owing in ledger.looks_due():
        try:
            admission = ledger.take_look(owing.id, _opening(owing, pages))
        except Unavailable:
            raise
        except (BytePortError, ValueError) as problem:
            log.warning("look_not_taken", incident=owing.id, error=str(problem))
            continue
        if admission is not None and not admission.absorbed:
            opened += 1
            wakeups.ring(admission.incident, Phase.OPEN)
    return opened


def _opening(owing: Incident, pages: Pages) -> Opening:
    """As that one was, told by BytePort itself. Whoever has its page looks; where nobody has it, a person is told."""
    page, told = pages.by_name.get(owing.runbook), owing.signal
    signal = told.with_(
        source="byteport", fired_at=owing.due_at, event_id="", condition="", raw={}, value=None,
        summary=f"looked at again after {owing.id}",
    )  # fmt: skip
    digest = page.digest if page is not None else owing.page
    return Opening(signal=signal, runbook=owing.runbook, page=digest, mode=owing.mode, follows=owing.id)


def decide(work: Work, diagnosis: Diagnosis, told: Event, silenced: Verdict | None) -> Change:
    """Calm by now, or a person, unless silenced. Whatever the classes say, nothing is planned: all that was done."""
    again = work.page.look_again
    if again is None:
        return work.escalate(f"{work.page.name} does not say any more what to look at again", told, diagnosis=diagnosis)
    truth = work.check(again.check)
    word = {True: "", False: "not so: ", None: "cannot be told: "}[truth.value]
    seen = Event(kind="check", text=f"{again.check}: {word}{truth.because}", data={"value": truth.value})
    if truth.value:
        why = f"{again.check}: {truth.because}"
        return work.go(Phase.WRITE_UP, told, seen, text=why, diagnosis=diagnosis, ending="recovered", reason=why)
    if silenced is not None:
        data = {"blocking": silenced.model_dump(mode="json")}
        why, held = silenced.reason, Event(kind="verdict", text=f"{silenced.guard}: {silenced.reason}", data=data)
        changed = {"diagnosis": diagnosis, "ending": "suppressed", "reason": why}
        return work.go(Phase.WRITE_UP, told, seen, held, text=why, **changed)
    return work.escalate(f"{again.reason}: {word}{truth.because}", told, seen, diagnosis=diagnosis)


def enough(work: Work) -> bool:
    """A verification that failed leaves so little to be wished for that it is looked at later instead."""
    again = work.page.look_again
    return again is not None and bool(again.enough) and work.check(again.enough).value is True
