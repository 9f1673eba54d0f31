"""An incident as it happens: one line for each thing that people want to know, a spinner where a terminal is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from byteport.records.event import StoredEvent
from byteport.redaction import redact_text
from byteport.shown.course import tone_of
from byteport.shown.record import Record

if TYPE_CHECKING:
    from byteport.grammar.runbook import Runbook
    from byteport.stores_signals import Admission

TONES = {
    "diagnosis": "waiting", "plan": "moving", "rehearsal": "moving", "attempt": "moving", "outcome": "good",
    "verdict": "bad", "escalation": "bad", "problem": "bad", "hiccup": "waiting", "held": "waiting",
}  # fmt: skip
WORDS = {
    "probe": "diagnosing",
    "classify": "diagnosing",
    "act": "remediating",
    "verify": "verifying",
    "plan": "planning",
}

MOST_SHOWN = 200


@dataclass
class View:
    """Prints to standard output; with JSON asked for, nothing but the last object."""

    silent: bool
    spinner: Any = None
    began: list[StoredEvent] = field(default_factory=list)

    def opened(self, admission: Admission, page: Runbook, target: str, dry_run: bool) -> None:
        how = "dry run: nothing will be changed" if dry_run else "live"
        self._say(f"{page.title} on {target} ({how})")
        absorbed = ", which was open already and keeps its mode" if admission.absorbed else ""
        self._say(f"incident {admission.incident}{absorbed}")

    def note(self, line: str) -> None:
        """Something about the run itself."""
        self._say(line)

    def event(self, event: StoredEvent) -> None:
        """One line of the journal, with the seconds since the first."""
        self.began = self.began or [event]
        after = (event.at - self.began[0].at).total_seconds()
        tone = TONES.get(event.kind, "quiet")
        if event.kind == "verdict" and event.data.get("allowed") is True:
            tone = "good"
        text = redact_text(event.text) or " → ".join(str(event.data[k]) for k in ("from", "to") if k in event.data)
        kind = click.style(f"{event.kind:<11}", fg={"good": "green", "bad": "red", "moving": "blue"}.get(tone))
        self._say(f"{after:7.1f} s  {kind} {text}")
        if event.kind == "diagnosis":
            self._rules(event)
        if self.spinner is not None and event.kind in ("phase", "look"):
            self.spinner.update(WORDS.get(str(event.data.get("to", "")), event.text or "working"))

    def _rules(self, event: StoredEvent) -> None:
        marks = {True: "held", False: "no", None: "unknown"}
        for line in event.data.get("considered", ()):
            self._say(f"{'':23}{marks.get(line.get('held'), '?'):<8}{line.get('name')}: {line.get('because')}")

    def ended(self, record: Record, code: int) -> None:
        incident = record.incident
        for check in incident.checks:
            word = (
                {True: "passed", False: "failed", None: "unknown"}[check.passed] if check.measured else "not measured"
            )
            self._say(f"           check       {check.name}: {word} ({check.because})")
        for line in found_out(record):
            self._say(f"           {line}")
        word = click.style(incident.word, bold=True, fg={"good": "green", "bad": "red"}.get(tone_of(incident.word)))
        self._say(f"{word}: {incident.reason or 'done'}  (exit {code})")
        self._say(f"more: byteport incidents explain {incident.id}")

    def _say(self, line: str) -> None:
        if not self.silent:
            click.echo(line)


def found_out(record: Record) -> Iterator[str]:
    """What the page itself tells of it in figures and short words; lists are for the postmortem."""
    facts = record.postmortem.record.get("facts", {}) if record.postmortem is not None else {}
    for name, value in facts.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for key, told in rows:
            if isinstance(told, str | int | float) and len(str(told)) <= MOST_SHOWN:
                yield f"{name}{f'  {key}' if key else ''}: {told}"


@contextmanager
def view(as_json: bool) -> Iterator[View]:
    """A view for where the output goes: a terminal gets a spinner below the lines, a file plain lines."""
    if as_json or not sys.stdout.isatty():
        yield View(silent=as_json)
        return
    from rich.console import Console

    console = Console()
    with console.status("starting") as status:
        yield View(silent=False, spinner=status)
