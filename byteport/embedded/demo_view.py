"""The demo as people see it: lines that stay, and one line that moves. Plain lines where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from byteport.records.event import StoredEvent
from byteport.records.evidence import StoredAnswer

WORTH_TELLING = 2.0  # seconds: a shorter wait is over before it is read
PLAIN_EVERY = 30.0  # seconds between two plain lines that say the same wait
LABELS = {
    "signal": "signal", "look": "probing", "phase": "phase", "diagnosis": "diagnosis", "plan": "plan", "locks": "locks",
    "rehearsal": "rehearsal", "verdict": "guard", "intent": "intent", "attempt": "acting", "outcome": "outcome",
    "held": "waiting", "check": "verify", "escalation": "escalated", "problem": "problem", "hiccup": "again",
    "delivery": "told", "undo": "undo",
}  # fmt: skip
COLOURS = {
    "diagnosis": "bold cyan",
    "outcome": "bold green",
    "escalation": "bold red",
    "problem": "red",
    "check": "green",
}


class View(Protocol):
    """Where the demo speaks. `wait` may be called as often as one likes."""

    def headline(self, text: str) -> None: ...
    def say(self, text: str) -> None: ...
    def event(self, seconds: float, event: StoredEvent) -> None: ...
    def wait(self, text: str, done: float, total: float) -> None: ...
    def close(self) -> None: ...


@dataclass
class PlainView:
    """One line at a time; a wait is told when it begins, and then every half minute."""

    stream: TextIO = field(default_factory=lambda: sys.stdout)
    told: str = ""
    told_at: float = float("-inf")

    def headline(self, text: str) -> None:
        self.say(f"== {text}")

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def event(self, seconds: float, event: StoredEvent) -> None:
        for line in lines_of(seconds, event):
            self.say(line)

    def wait(self, text: str, done: float, total: float) -> None:
        if total - done < WORTH_TELLING:
            return
        if text != self.told or monotonic() - self.told_at >= PLAIN_EVERY:
            self.told, self.told_at = text, monotonic()
            self.say(f"   {text}: {max(0.0, total - done):.0f} s to go")

    def close(self) -> None:
        """Nothing is held."""


class LiveView:
    """On a terminal: what happened scrolls up, what is waited for moves at the bottom."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        columns = (
            TextColumn("   {task.description}"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns, console=self.console, transient=True)
        self.task: TaskID | None = None
        self.progress.start()

    def headline(self, text: str) -> None:
        self._still()
        self.console.print(Text(f"■ {text}", style="bold"))

    def say(self, text: str) -> None:
        self.console.print(Text(text))

    def event(self, seconds: float, event: StoredEvent) -> None:
        for line in lines_of(seconds, event):
            self.console.print(Text(line, style=COLOURS.get(event.kind, "")))

    def wait(self, text: str, done: float, total: float) -> None:
        left = f"{max(0.0, total - done):.0f} s to go"
        if self.task is None:
            self.task = self.progress.add_task(text, total=total, left=left)
        self.progress.update(self.task, description=text, completed=min(done, total), total=total, left=left)

    def close(self) -> None:
        self._still()
        self.progress.stop()

    def _still(self) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
            self.task = None


def lines_of(seconds: float, event: StoredEvent) -> list[str]:
    """An event as it is shown: when, what, and for a rehearsed step every verdict."""
    label = LABELS.get(event.kind, event.kind)
    lines = [f"   {seconds:7.1f} s  {label:<10} {event.text}"]
    if event.kind == "rehearsal":
        lines += [f"{'':25}{verdict_line(verdict)}" for verdict in event.data.get("verdicts", ())]
    return lines


def verdict_line(verdict: dict[str, object]) -> str:
    """A guard's answer in one line."""
    word = "allows" if verdict.get("allowed") else "REFUSES"
    limit = f" (limit {verdict['limit']}, now {verdict.get('current', '')})" if verdict.get("limit") else ""
    return f"{verdict.get('guard')} {word}{limit} {verdict.get('reason', '')}".rstrip()


def probe_lines(answers: Sequence[StoredAnswer], round_: int) -> list[str]:
    """Each probe of a round with how long it took; they ran at the same time."""
    return [
        f"{'':14}probe      {answer.field} {answer.duration_ms:.0f} ms"
        + (f"  {answer.failure.kind}: {answer.failure.text}" if answer.failure is not None else "")
        for answer in answers
        if answer.round == round_
    ]


def view_for(*, as_json: bool) -> View:
    """The view for where the output goes; with --json standard output is kept for the one object at the end."""
    if as_json:
        return PlainView(sys.stderr)
    return LiveView() if sys.stdout.isatty() else PlainView()
