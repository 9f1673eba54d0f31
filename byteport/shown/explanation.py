"""Why, and why not: everything that decided an incident, as data. Redacted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from byteport.grammar.diagnosis import Considered, Diagnosis
from byteport.model.base import Json
from byteport.records.evidence import StoredAnswer
from byteport.records.intent import Intent
from byteport.redaction import redact
from byteport.shown.evidence import decided_on, in_short, plain_figures
from byteport.shown.nearest import nearest
from byteport.shown.outlook import Outlook
from byteport.shown.record import Record
from byteport.shown.steps import end_in_words, steps_of
from byteport.shown.verdicts import VerdictLine, verdicts_of


def explanation(record: Record, outlook: Outlook) -> Json:
    """`incidents explain --json`, and the API's."""
    incident = record.incident
    told: Json = {
        "incident": incident.id,
        "runbook": incident.runbook,
        "target": str(incident.signal.target),
        "word": incident.word,
        "reason": incident.reason,
        "mode": str(incident.mode),
        "now": outlook.now.isoformat(),
        "nearest": [change.as_json() for change in nearest(record, outlook)],
        "diagnosis": _diagnosis(record, incident.diagnosis) if incident.diagnosis else None,
        "plan": _plan(record) if incident.plan else None,
        "verdicts": [_verdict(line, outlook.now) for line in verdicts_of(record)],
        "outcomes": [_outcome(intent) for intent in record.intents],
        "checks": [check.model_dump(mode="json") for check in incident.checks],
    }
    redacted: Json = redact(told)
    return {**redacted, "incident": incident.id}


def read_by(record: Record, line: Considered) -> dict[str, str]:
    """What a rule read, each field in a line."""
    answers = decided_on(record)
    return {name: in_short(answers.get(name)) for name in line.reads}


def _diagnosis(record: Record, found: Diagnosis) -> Json:
    answers = decided_on(record)
    considered = [
        {**line.model_dump(mode="json"), "evidence": {name: _evidence(answers.get(name)) for name in line.reads}}
        for line in found.considered
    ]
    return {**found.model_dump(mode="json"), "considered": considered}


def _evidence(answer: StoredAnswer | None) -> Json:
    """`figures` None where there is no answer, or none is configured."""
    known = answer is not None and answer.failure is None and answer.fact is not None
    figures = plain_figures(answer.fact) if answer is not None and known else None
    return {"figures": figures, "text": in_short(answer), "taken_at": answer.taken_at.isoformat() if answer else None}


def _plan(record: Record) -> Json:
    plan = record.incident.plan
    if plan is None:
        return {}
    steps = [{**step.__dict__, "items": list(step.items)} for step in steps_of(record)]
    return {"digest": plan.digest, "end": end_in_words(plan), "steps": steps}


def _verdict(line: VerdictLine, now: datetime) -> dict[str, Any]:
    at = line.verdict.frees_at
    wait = max((at - now).total_seconds(), 0.0) if at is not None else None
    verdict = line.verdict.model_dump(mode="json")
    return {**verdict, "seconds_left": wait, "move": line.move, "rehearsed": line.rehearsed}


def _outcome(intent: Intent) -> Json:
    return {
        "move": intent.move,
        "step": intent.step,
        "direction": intent.direction,
        "attempts": intent.attempts,
        "outcome": intent.outcome.model_dump(mode="json") if intent.outcome else None,
        "effect": intent.effect.model_dump(mode="json") if intent.effect else None,
    }
