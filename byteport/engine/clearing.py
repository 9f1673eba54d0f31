"""A source says that the condition has cleared. Before the first write that cancels the plan, after one more look;
afterwards it is shown beside the checks, which decide by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from byteport.engine.work import MOST_RELOOKS, Work
from byteport.grammar.diagnosis import Diagnosis
from byteport.grammar.truth import truth_of
from byteport.records.change import Change
from byteport.records.event import Event
from byteport.records.incident import Phase

CLEARED = "the source says that the condition has cleared"


def cancelled(work: Work) -> Change | None:
    """None where no source has said so, or something was written already. While the look is out the source may think
    better of it: then the plan goes on. What the look shows is told; it does not bring the plan back, for nobody
    complains any more, and who does so later is heard."""
    if work.incident.clear_since is None or work.has_written:
        return None
    return _one_more_look(work) or recovered(work, f"{CLEARED}{_what_is_seen(work)}")


def recovered(work: Work, why: str) -> Change:
    """By itself, before anything was written."""
    return work.go(Phase.WRITE_UP, text=why, ending="recovered", reason=why, attempt=0).with_(release_locks=True)


def is_over(work: Work, before: Diagnosis, now: Diagnosis) -> bool:
    """What was diagnosed is known not to hold any more, no other class holds in its place, and the page, where it can
    tell, calls the target well."""
    held = {line.name: line.held for line in now.considered}
    instead = now.name == "inconclusive" or any(rule.name == now.name for rule in work.page.rules)
    return held.get(before.name) is False and not instead and is_well(work)


def is_well(work: Work) -> bool:
    """By the page's own sign; a page that has none goes by its classes."""
    return work.page.well is None or truth_of(work.page.well, work.evidence).value is True


def shown(work: Work) -> Iterator[Event]:
    """For the journal, while it is verified."""
    since = work.incident.clear_since
    if since is not None:
        yield Event(kind="cleared", text=f"{CLEARED} at {since:%H:%M:%S}", data={"since": since.isoformat()})


def _one_more_look(work: Work) -> Change | None:
    """Of what the diagnosis stands on, unless that was seen after the word came."""
    incident, diagnosis = work.incident, work.incident.diagnosis
    since, taken = incident.clear_since, work.evidence.taken_at
    fields = tuple(diagnosis.reads) if diagnosis is not None else ()
    if since is None or incident.relooks >= MOST_RELOOKS or all(taken.get(name, since) > since for name in fields):
        return None
    return work.look(fields, f"one more look: {CLEARED}", relooks=incident.relooks + 1)


def _what_is_seen(work: Work) -> str:
    diagnosis = work.incident.diagnosis
    rule = next((rule for rule in work.page.rules if diagnosis is not None and rule.name == diagnosis.name), None)
    if rule is None:
        return ""
    truth = truth_of(rule.when, work.evidence)
    match truth.value:
        case True:
            return f"; {rule.name} still holds, and is left alone: {truth.because}"
        case False:
            return f", and {rule.name} is no longer so"
        case _:
            return f"; whether {rule.name} still holds cannot be told: {truth.because}"
