"""`storm`: list, end. In a storm the incidents of a runbook are looked at and told of as one, and none is acted on."""

from __future__ import annotations

import click

from byteport.cli.output import print_json, table, with_json
from byteport.cli.scene import Scene, person


@click.group()
def storm() -> None:
    """See which runbooks are in a storm, and say that one is over."""


@storm.command("list")
@with_json
@click.pass_obj
def list_(scene: Scene, as_json: bool) -> None:
    """List the storms of which something is left."""
    from byteport.shown.times import moment

    with scene.world() as world:
        found = world.ledger.storms()
    if as_json:
        print_json([{**row.model_dump(mode="json"), "left": row.left} for row in found])
        return
    table(
        ["RUNBOOK", "SINCE", "STATE", "INCIDENTS", "LEFT", "TARGETS"],
        [
            (
                row.runbook, moment(row.began_at), "over" if row.is_over else "goes on", row.incidents, row.left,
                ", ".join(row.targets),
            )
            for row in found
        ],
        none="no storm",
    )  # fmt: skip


@storm.command()
@click.argument("runbook")
@with_json
@click.pass_obj
def end(scene: Scene, runbook: str, as_json: bool) -> None:
    """Say that RUNBOOK's storm is over: what comes now is acted on again. Incidents that it left stay with people."""
    from byteport.errors import BadInput

    with scene.world() as world:
        slug = world.pages[runbook].name
        if slug not in {row.runbook for row in world.ledger.storms() if not row.is_over}:
            raise BadInput("runbook", f"a runbook in a storm (byteport storm list), {slug} is in none")
        world.ledger.end_storm(slug, person())
    print_json({"ended": slug}) if as_json else click.echo(f"{slug}: the storm is over")
