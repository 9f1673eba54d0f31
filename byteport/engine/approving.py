"""Asking a person for a plan, and what follows their word: all is looked at again, and the plan is made anew."""

from __future__ import annotations

from byteport.engine import clearing, telling
from byteport.engine.work import Work
from byteport.grammar.plan import Plan
from byteport.model.units import minutes
from byteport.records.change import Change
from byteport.records.event import Event
from byteport.records.incident import Phase

APPROVAL_DEADLINE = minutes(30)
MOST_ASKED = 2


def ask(work: Work, made: Plan, told: Event) -> Change:
    """Wait for a person's word on this plan; nobody has seen it yet, so no word that came before counts for it. A plan
    that never stays the same is for a person altogether."""
    asked = work.incident.asked + 1
    if asked > MOST_ASKED:
        return work.escalate("the plan was another again by the time it was approved", told, plan=made)
    until = work.now + APPROVAL_DEADLINE
    wait = {"due_at": until, "approve_by": until, "plan": made, "command": "", "asked": asked}
    change = work.go(Phase.PLAN, told, text="waiting for approval", tellings=work.incident.tellings + 1, **wait)
    return change.with_(messages=telling.approval(work, made, until))


def asked_before(work: Work) -> Change:
    """The approval was given, or its deadline has passed. Odd tries have the look out that an approval calls for."""
    incident = work.incident
    if incident.attempt % 2:
        return _released(work)
    if incident.command != "approve":
        return _not_yet(work) or work.escalate("nobody approved the plan in time")
    digest = incident.plan.digest if incident.plan else ""
    told = Event(kind="approval", text=f"approved by {incident.command_by}", data={"plan": digest})
    fields = tuple(work.page.evidence.FIELDS)
    look = work.look(fields, "looking again before what was approved is done", attempt=1, command="")
    return look.with_(events=(told, *look.events), messages=telling.taken(work, told.text))


def _not_yet(work: Work) -> Change | None:
    """Something else woke it: the deadline stands where it stood."""
    until = work.incident.approve_by
    return work.wait(until - work.now) if until is not None and until > work.now else None


def _released(work: Work) -> Change:
    """The same plan of the same class goes ahead; where it would be another, all is decided anew and asked again."""
    before, diagnosis = work.incident.diagnosis, work.page.diagnose(work.evidence)
    if before is None or clearing.is_over(work, before, diagnosis):
        why = f"{before.name if before else 'it'} is no longer so"
        return work.go(Phase.WRITE_UP, text=why, ending="recovered", reason=why)
    sure = diagnosis.conclusive and diagnosis.confidence >= work.policy.floor_of(work.page)
    if sure and diagnosis.name == before.name and _is_planned(work, work.page.plan(diagnosis, work.evidence)):
        return work.go(Phase.ACT, text="approved, and still the same plan", diagnosis=diagnosis)
    return work.go(Phase.CLASSIFY, text="it is not what was approved any more", plan=None, diagnosis=None)


def _is_planned(work: Work, made: Plan) -> bool:
    return work.incident.plan is not None and made.digest == work.incident.plan.digest
