"""`incidents`: list, show, explain, export, verify, and a person's word on one."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import click

from byteport.cli.output import print_json, table, toned, with_json
from byteport.cli.scene import Scene, person
from byteport.cli.verify import verify

if TYPE_CHECKING:
    from byteport.shown.record import Record


@click.group()
def incidents() -> None:
    """What has happened, and why."""


@incidents.command("list")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not closed.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", default="", help="Go on after the incident of this id.")
@with_json
@click.pass_obj
def list_(scene: Scene, open_only: bool, limit: int, before: str, as_json: bool) -> None:
    """List them, newest first."""
    from byteport.shown.course import tone_of

    with scene.world() as world:
        rows = world.ledger.listing(open_only=open_only, limit=limit, before=before)
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    table(
        ["INCIDENT", "STATE", "TARGET", "DIAGNOSIS", "RUNBOOK", "MODE", "OPENED"],
        [
            (r.id, toned(r.word, tone_of(r.word)), r.target, r.classification, r.runbook, r.mode, r.opened_at[:19])
            for r in rows
        ],
        none="no incident is open" if open_only else "no incident yet",
    )


def _known(incident: str, found: Record | None) -> Record:
    """Raises BadInput for an id that nobody knows."""
    from byteport.errors import BadInput

    if found is None:
        raise BadInput("incident", f"the id of an incident, got {incident!r}")
    return found


@incidents.command()
@click.argument("incident")
@with_json
@click.pass_obj
def show(scene: Scene, incident: str, as_json: bool) -> None:
    """Show one with its journal."""
    from byteport.cli.explaining import headline
    from byteport.shown.record import as_json as told_as_json
    from byteport.shown.record import fetch

    with scene.world() as world:
        found = _known(incident, fetch(world.ledger, incident))
    if as_json:
        print_json(told_as_json(found))
        return
    headline(found)
    click.echo()
    table(
        ["AT", "KIND", "WHAT"],
        [(event.at.strftime("%H:%M:%S"), event.kind, event.text) for event in found.events],
        none="no line yet",
    )


@incidents.command()
@click.argument("incident")
@with_json
@click.pass_obj
def explain(scene: Scene, incident: str, as_json: bool) -> None:
    """Say why, and why not: every rule with what it read, every guard with its value, its limit and when it frees, and
    the nearest change that would have flipped the decision."""
    from byteport.cli.explaining import explained
    from byteport.shown.explanation import explanation
    from byteport.shown.outlook import outlook_of
    from byteport.shown.record import fetch

    with scene.world() as world:
        found = _known(incident, fetch(world.ledger, incident))
        outlook = outlook_of(found, world.ledger, world.pages, world.policy)
    if as_json:
        print_json(explanation(found, outlook))
    else:
        explained(found, outlook)


@incidents.command()
@click.argument("incident")
@click.option(
    "--output", "-o", type=click.File("w", atomic=True), default="-", help="File to write; - is standard output."
)
@click.pass_obj
def export(scene: Scene, incident: str, output: IO[str]) -> None:
    """Write what `byteport replay` needs to decide it again offline."""
    from byteport.shown.record import fetch
    from byteport.shown.replaying import record_of

    with scene.world() as world:
        found = _known(incident, fetch(world.ledger, incident))
        page = world.pages[found.incident.runbook]
        recording = record_of(found, world.policy.options_of(page, found.incident.signal.target))
    output.write(recording.model_dump_json(indent=2) + "\n")


def _word(name: str, about: str) -> click.Command:
    @click.command(name, help=about)
    @click.argument("incident")
    @click.option("--why", default="", help="For the journal.")
    @with_json
    @click.pass_obj
    def command(scene: Scene, incident: str, why: str, as_json: bool) -> None:
        with scene.world() as world:
            after = world.ledger.command(incident, name, person(), why.strip() or "no reason given")
        if as_json:
            print_json({"incident": after.id, "word": after.word, "command": name})
        else:
            click.echo(f"{name}: incident {after.id} ({after.word})")

    return command


incidents.add_command(verify)
incidents.add_command(_word("ack", "Acknowledge: somebody is on it."))
incidents.add_command(_word("close", "Close; what was begun is settled first."))
incidents.add_command(_word("cancel", "Cancel: do nothing more; what was begun is settled first."))


@incidents.command()
@click.argument("incident")
@click.option("--why", default="", help="For the journal.")
@click.option("--plan", default="", help="The digest of the plan that you have seen; by default what is shown now.")
@with_json
@click.pass_obj
def approve(scene: Scene, incident: str, why: str, plan: str, as_json: bool) -> None:
    """Release the plan that waits for approval: the one that is shown, and no other."""
    from byteport.shown.record import fetch
    from byteport.shown.steps import steps_of

    with scene.world() as world:
        found = _known(incident, fetch(world.ledger, incident))
        waiting = found.incident.plan
        seen = plan or (waiting.digest if waiting is not None else "")
        if not as_json and waiting is not None:
            for step in steps_of(found):
                click.echo(f"- {step.text}")
        after = world.ledger.command(incident, "approve", person(), why.strip() or "no reason given", seen)
    if as_json:
        print_json({"incident": after.id, "word": after.word, "command": "approve", "plan": seen})
    else:
        click.echo(f"approve: incident {after.id} ({after.word})")
