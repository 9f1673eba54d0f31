"""The nearest change that would have flipped a decision, or will: told from the record and the time now. Pure.

Nothing is made up: where the record does not know more than the reason, that is what is said; where nothing would have
flipped it, that.
"""

from __future__ import annotations

from byteport.grammar.plan import HandOver, Plan
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.records.outcome import Done
from byteport.shown.doubts import of_diagnosis
from byteport.shown.lifting import Change, lifted, refusals_of
from byteport.shown.outlook import Outlook
from byteport.shown.record import Record
from byteport.shown.times import moment

STILL_MOVING = (Phase.OPEN, Phase.PROBE, Phase.CLASSIFY, Phase.ACT, Phase.VERIFY)


def nearest(record: Record, outlook: Outlook) -> tuple[Change, ...]:
    """All of these together would have it act; empty where it acted, or has not decided yet."""
    incident = record.incident
    if incident.follows:
        return (Change("nothing", f"nothing: it only looks again at what {incident.follows} left"),)
    refusals = tuple(_with_switch(lifted(v, outlook.now, incident.id), outlook) for v in refusals_of(record))
    if incident.ending == "rehearsed":
        return (_promotion(record, outlook), *refusals)
    if refusals:
        return refusals
    if incident.acted_at is not None or incident.phase in STILL_MOVING:
        return ()
    if incident.phase is Phase.PLAN:
        return _approval(record)
    change = _undecided(record) or of_diagnosis(record, outlook) or _of_plan(record) or _problem(record)
    flips = change.kind in ("confidence", "evidence", "rule") and incident.mode is Mode.DRY_RUN
    return (change, _promotion(record, outlook)) if flips else (change,)


def _with_switch(change: Change, outlook: Outlook) -> Change:
    if change.guard != "dry_run" or not outlook.switch:
        return change
    return Change(change.kind, f"{change.text}, which {outlook.switch} forbids", change.guard)


def _promotion(record: Record, outlook: Outlook) -> Change:
    """It was a dry run: what makes the next one act, and how many of its steps would have been allowed."""
    incident, runbook = record.incident, record.incident.runbook
    text = f"acts once {runbook} is promoted to live"
    if outlook.switch:
        text = f"acts once {runbook} is promoted to live and {outlook.switch} no longer forbids it"
    elif incident.person:
        text = "acts with --no-dry-run, and by itself once it is promoted to live"
    elif outlook.mode is Mode.LIVE:
        text = f"acts from the next signal on: {runbook} is live by now"
    elif outlook.mode is Mode.APPROVE:
        text = f"asks for approval from the next signal on: {runbook} is in mode approve by now"
    steps = [event for event in record.events if event.kind == "rehearsal"]
    allowed = sum(event.data.get("allowed") is True for event in steps)
    return Change("mode", f"{text}; {allowed} of {len(steps)} steps would have been allowed" if steps else text)


def _approval(record: Record) -> tuple[Change, ...]:
    incident = record.incident
    if not incident.awaits_approval:
        return ()
    text = f"acts when somebody approves the plan: byteport incidents approve {incident.id}"
    return (Change("approval", f"{text}, before {moment(incident.due_at)}"),)


def _undecided(record: Record) -> Change | None:
    """It ended before there was anything to decide, or by itself."""
    incident = record.incident
    if incident.escalated_at is None and incident.ending in ("cancelled", "closed"):
        return Change("nothing", f"nothing: a person ended it first ({incident.reason})")
    if incident.ending in ("recovered", "handed_over", "resolved"):
        what = {"recovered": "nothing was left to do", "handed_over": "another runbook took it over"}
        return Change("nothing", f"nothing: {what.get(incident.ending, 'it was so before')} ({incident.reason})")
    return _problem(record) if incident.diagnosis is None else None


def _of_plan(record: Record) -> Change | None:
    incident, plan = record.incident, record.incident.plan
    if plan is None:
        return None
    if not plan.steps:
        return Change("nothing", f"nothing: {_ends(plan)}")
    if any(isinstance(intent.outcome, Done) for intent in record.intents):
        return Change("nothing", f"nothing: it was so before ({incident.reason})")
    if _was_asked_in_vain(record):
        return Change("approval", "would have acted had somebody approved the plan in time")
    return None


def _was_asked_in_vain(record: Record) -> bool:
    """People were asked for the newest plan, and nobody approved it."""
    planned = max((event.seq for event in record.events if event.kind == "plan"), default=0)
    since = [event for event in record.events if event.seq > planned]
    asked = any(event.kind == "phase" and event.data.get("to") == Phase.PLAN for event in since)
    return asked and not any(event.kind == "approval" for event in since)


def _ends(plan: Plan) -> str:
    why = f" ({plan.reason})" if plan.reason else ""
    if isinstance(plan.end, HandOver):
        return f"its plan hands over to {plan.end.to} ({plan.end.reason})"
    return f"its plan leaves it to a person{why}" if plan.end == "escalate" else f"there was nothing to do{why}"


def _problem(record: Record) -> Change:
    """The record names a reason and no decision."""
    to_people = [e.text for e in record.events if e.kind == "phase" and e.data.get("to") == Phase.ESCALATE]
    why = to_people[-1] if to_people else record.incident.reason
    return Change("problem", f"would have gone on without this: {why}")
