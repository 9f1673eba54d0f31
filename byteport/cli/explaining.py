"""An incident explained on the terminal, and the same as data."""

from __future__ import annotations

from typing import Any

import click

from byteport.cli.output import heading, table, toned
from byteport.model.base import Json
from byteport.redaction import redact
from byteport.shown.course import tone_of
from byteport.shown.record import Record
from byteport.shown.steps import end_in_words, steps_of
from byteport.shown.verdicts import VerdictLine, verdicts_of

HELD = {True: ("held", "good"), False: ("ruled out", "quiet"), None: ("unknown", "waiting")}
PASSED = {True: ("passed", "good"), False: ("failed", "bad"), None: ("unknown", "waiting")}


def headline(record: Record) -> None:
    """What it is and how it stands, in two lines."""
    incident = record.incident
    word = toned(incident.word.replace("_", " "), tone_of(incident.word))
    click.echo(f"{click.style(incident.signal.target.key, bold=True)}  {word}  {incident.reason}")
    who = f", asked for by {incident.person}" if incident.person else ""
    opened = incident.opened_at.strftime("%Y-%m-%d %H:%M:%S")
    click.echo(f"{incident.runbook}, {incident.mode}{who}; opened {opened} UTC; incident {incident.id}")


def explained(record: Record) -> None:
    """Everything that decided, in the order in which it did."""
    incident = record.incident
    headline(record)
    if incident.diagnosis is not None:
        found = incident.diagnosis
        heading(f"Diagnosis: {found.name} ({found.confidence / 100:.2f}, {found.disposition})")
        click.echo(found.because)
        for lost in found.deductions:
            click.echo(lost)
        rows = [(line.name, toned(*HELD[line.held]), ", ".join(line.reads), line.because) for line in found.considered]
        table(["RULE", "ANSWER", "READ", "WHY"], rows)
    if incident.plan is not None:
        heading(f"Plan: {end_in_words(incident.plan)}{': ' + incident.plan.reason if incident.plan.reason else ''}")
        steps = [(step.number + 1, step.text, step.word, step.attempts or "", step.note) for step in steps_of(record)]
        table(["STEP", "WHAT", "STATE", "TRIES", "OUTCOME"], steps, none="no steps")
    if lines := verdicts_of(record):
        heading("Verdicts")
        table(["GUARD", "VERDICT", "MOVE", "LIMIT", "CURRENT", "FREES", "WHY"], [_verdict(line) for line in lines])
    if incident.checks:
        heading("Verification")
        checks = [
            (check.name, toned(*PASSED[check.passed]) if check.measured else "not measured", check.because)
            for check in incident.checks
        ]
        table(["CHECK", "ANSWER", "WHY"], checks)
    if record.deliveries:
        heading("Told")
        sent = [(d.message.channel, d.state, d.message.title, d.error) for d in record.deliveries]
        table(["CHANNEL", "STATE", "WHAT", "ERROR"], sent)


def _verdict(line: VerdictLine) -> tuple[object, ...]:
    verdict = line.verdict
    allowed, refused = ("would allow", "would refuse") if line.rehearsed else ("allowed", "refused")
    word = toned(allowed, "good") if verdict.allowed else toned(refused, "bad")
    frees = verdict.frees_at.strftime("%H:%M:%S") if verdict.frees_at else ""
    return verdict.guard, word, line.move, verdict.limit, verdict.current, frees, verdict.reason


def explanation(record: Record) -> Json:
    """The same as data."""
    incident = record.incident
    told: dict[str, Any] = {
        "incident": incident.id,
        "runbook": incident.runbook,
        "target": str(incident.signal.target),
        "word": incident.word,
        "reason": incident.reason,
        "mode": str(incident.mode),
        "diagnosis": incident.diagnosis.model_dump(mode="json") if incident.diagnosis else None,
        "plan": {
            "digest": incident.plan.digest,
            "end": end_in_words(incident.plan),
            "steps": [{**step.__dict__, "items": list(step.items)} for step in steps_of(record)],
        }
        if incident.plan
        else None,
        "verdicts": [
            {**line.verdict.model_dump(mode="json"), "move": line.move, "rehearsed": line.rehearsed}
            for line in verdicts_of(record)
        ],
        "outcomes": [
            {
                "move": intent.move,
                "step": intent.step,
                "direction": intent.direction,
                "attempts": intent.attempts,
                "outcome": intent.outcome.model_dump(mode="json") if intent.outcome else None,
                "effect": intent.effect.model_dump(mode="json") if intent.effect else None,
            }
            for intent in record.intents
        ],
        "checks": [check.model_dump(mode="json") for check in incident.checks],
    }
    redacted: Json = redact(told)
    return {**redacted, "incident": incident.id}
