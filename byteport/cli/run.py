"""`run`: one runbook on one target, now, shown live; its exit code says how it ended."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from byteport.cli.output import print_json, with_json
from byteport.cli.scene import Scene

if TYPE_CHECKING:
    from byteport.settings import Settings
    from byteport.wiring import Wired


@click.command()
@click.argument("runbook")
@click.option("--db", default="", help="A configured database's name or key, or its URL.")
@click.option("--host", default="", help="A configured host, by its name or address.")
@click.option("--mount", default="", help="With --host: where the file system is mounted.")
@click.option("--unit", default="", help="With --host: the service that it is about.")
@click.option("--dry-run/--no-dry-run", "dry_run", default=True, help="Only show what would be done [default].")
@click.option("--timeout", type=click.IntRange(1, 86_400), default=1800, show_default=True, help="Seconds, at most.")
@with_json
@click.pass_obj
def run(scene: Scene, /, runbook: str, dry_run: bool, timeout: int, as_json: bool, **named: str) -> int:
    """Run RUNBOOK on one target without waiting for a poller.

    Exits 0 resolved, rehearsed or nothing to do; 1 internal error; 2 usage, or a switch forbids; 3 escalated or
    partially resolved; 4 a guard refused; 5 verification failed and undone; 6 waits for approval; 7 handed over.
    """
    from byteport.cli.live import view
    from byteport.cli.target import chosen
    from byteport.cli.treating import Asked, by_ourselves, by_the_fleet, fleet_lives
    from byteport.engine.drive import exit_code, rests
    from byteport.shown.record import fetch

    told = chosen(scene.settings(), **named)
    refuse_early(told.settings, runbook, dry_run)
    asked = Asked(runbook, told.target, dry_run, timedelta(seconds=timeout))
    with scene.built("cli", settings=told.settings, starts=True) as world, view(as_json) as show, stopping() as stop:
        refuse_paused(world, world.pages[runbook].name, dry_run)
        treat = by_the_fleet if told.configured and fleet_lives(world) else by_ourselves
        treated = treat(world, asked, show, stop)
        code = 130 if stop.is_set() else exit_code(treated.incident)
        if (found := fetch(world.ledger, treated.incident.id)) is not None:
            show.ended(found, code)
            if stop.is_set() and not rests(found.incident):
                show.note(f"not watched any more; byteport incidents cancel {found.incident.id} ends it")
            if as_json:
                print_json(summary(found, code, absorbed=treated.admission.absorbed))
    return code


def refuse_early(settings: Settings, runbook: str, dry_run: bool) -> None:
    """Before any server is started: a switch that forbids acting ends the command (exit 2) and is named."""
    from byteport.errors import BadInput
    from byteport.wiring_policy import policy_of

    slug = runbook.replace("-", "_")
    if not dry_run and (switch := policy_of(settings).forbidding_switch(slug)):
        raise BadInput("--no-dry-run", f"forbidden by {switch}")


def refuse_paused(world: Wired, slug: str, dry_run: bool) -> None:
    """The kill switch beats a person's wish to act: exit 2, with who paused it and why."""
    from byteport.errors import BadInput

    for row in () if dry_run else world.ledger.pauses():
        if row.runbook in ("", slug):
            raise BadInput("--no-dry-run", f"forbidden by a pause of {row.who}: {row.why} (`byteport resume` ends it)")


class stopping:  # noqa: N801 - used as a word: `with stopping() as stop`
    """Ctrl-C or TERM sets the event: the move that is under way ends, and the incident stays as it then stands."""

    def __enter__(self) -> threading.Event:
        self.event = threading.Event()
        self.before: dict[signal.Signals, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self._hear)
        return self.event

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.event.is_set():
            raise KeyboardInterrupt
        self.event.set()

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def summary(found: Any, code: int, *, absorbed: bool) -> dict[str, Any]:
    """The last line of `run --json`."""
    incident = found.incident
    diagnosis = incident.diagnosis
    return {
        "incident": incident.id,
        "outcome": incident.word,
        "exit_code": code,
        "runbook": incident.runbook,
        "target": str(incident.signal.target),
        "mode": str(incident.mode),
        "absorbed": absorbed,
        "reason": incident.reason,
        "classification": diagnosis.name if diagnosis else None,
        "confidence": diagnosis.confidence / 100 if diagnosis else None,
        "checks": [check.model_dump(mode="json") for check in incident.checks],
        "intents": [
            {"move": i.move, "attempts": i.attempts, "outcome": i.outcome.outcome if i.outcome else None}
            for i in found.intents
        ],
        "postmortem": found.postmortem.record if found.postmortem else None,
    }
