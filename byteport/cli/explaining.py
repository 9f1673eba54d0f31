"""An incident explained on the terminal."""

from __future__ import annotations

from datetime import datetime

import click

from byteport.cli.output import heading, table, toned
from byteport.grammar.diagnosis import Diagnosis
from byteport.redaction import redact_text
from byteport.shown.course import tone_of
from byteport.shown.explanation import read_by
from byteport.shown.lifting import Change
from byteport.shown.nearest import nearest
from byteport.shown.outlook import Outlook
from byteport.shown.record import Record
from byteport.shown.steps import end_in_words, steps_of
from byteport.shown.times import left
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


def explained(record: Record, outlook: Outlook) -> None:
    """Everything that decided, in the order in which it did; and first of all what would have changed it."""
    incident = record.incident
    headline(record)
    _nearest(nearest(record, outlook))
    if incident.diagnosis is not None:
        _diagnosis(record, incident.diagnosis)
    if incident.plan is not None:
        heading(f"Plan: {end_in_words(incident.plan)}{': ' + incident.plan.reason if incident.plan.reason else ''}")
        steps = [(step.number + 1, step.text, step.word, step.attempts or "", step.note) for step in steps_of(record)]
        table(["STEP", "WHAT", "STATE", "TRIES", "OUTCOME"], steps, none="no steps")
    if lines := verdicts_of(record):
        heading("Guards")
        rows = [_verdict(line, outlook.now) for line in lines]
        table(["GUARD", "VERDICT", "MOVE", "VALUE", "LIMIT", "FREES IN", "WHY"], rows)
    _afterwards(record)


def _nearest(changes: tuple[Change, ...]) -> None:
    if not changes:
        return
    heading("What would change it" + (", all of these together" if len(changes) > 1 else ""))
    for change in changes:
        click.echo(redact_text(change.text))


def _diagnosis(record: Record, found: Diagnosis) -> None:
    """Every rule in order, and under it what it read."""
    heading(f"Diagnosis: {found.name} ({found.confidence / 100:.2f}, {found.disposition})")
    click.echo(found.because)
    for lost in found.deductions:
        click.echo(lost)
    rows: list[tuple[object, ...]] = []
    above: set[str] = set()
    for line in found.considered:
        worth = f"{line.confidence / 100:.2f}" if line.confidence is not None else ""
        rows.append((line.name, toned(*HELD[line.held]), worth, line.because))
        for name, told in read_by(record, line).items():
            rows.append((" ", " ", " ", f"{name}: {'as above' if name in above else told}"))
            above.add(name)
    table(["RULE", "ANSWER", "WORTH", "WHY, AND WHAT IT READ"], rows)


def _afterwards(record: Record) -> None:
    if record.incident.checks:
        heading("Verification")
        checks = [
            (check.name, toned(*PASSED[check.passed]) if check.measured else "not measured", check.because)
            for check in record.incident.checks
        ]
        table(["CHECK", "ANSWER", "WHY"], checks)
    if record.deliveries:
        heading("Told")
        sent = [(d.message.channel, d.state, d.message.title, d.error) for d in record.deliveries]
        table(["CHANNEL", "STATE", "WHAT", "ERROR"], sent)


def _verdict(line: VerdictLine, now: datetime) -> tuple[object, ...]:
    verdict = line.verdict
    allowed, refused = ("would allow", "would refuse") if line.rehearsed else ("allowed", "refused")
    word = toned(allowed, "good") if verdict.allowed else toned(refused, "bad")
    wait = verdict.frees_at - now if verdict.frees_at else None
    frees = "" if wait is None else left(wait) if wait.total_seconds() > 0 else "is free"
    return verdict.guard, word, line.move, verdict.current, verdict.limit, frees, verdict.reason
