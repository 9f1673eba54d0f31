"""`guards`, `pause`, `resume`: what stands beside the incidents."""

from __future__ import annotations

import click

from byteport.cli.output import heading, print_json, table, with_json
from byteport.cli.scene import Scene, person


@click.group()
def guards() -> None:
    """Budgets in use, locks that are held, pauses."""


@guards.command("list")
@with_json
@click.pass_obj
def list_(scene: Scene, as_json: bool) -> None:
    """List them with what is used, the limit, and when it frees."""
    with scene.world() as world:
        rows, locks, pauses = world.ledger.guard_rows(), world.ledger.held_locks(), world.ledger.pauses()
    if as_json:
        print_json(
            {
                "guards": [row.model_dump(mode="json") for row in rows],
                "locks": [lock.model_dump(mode="json") for lock in locks],
                "pauses": [row.model_dump(mode="json") for row in pauses],
            }
        )
        return
    table(
        ["COUNTER", "KIND", "USED", "LIMIT", "FREES", "HELD BY"],
        [(row.key, row.kind, row.used, row.limit, row.frees_at, row.holder) for row in rows],
        none="nothing is spent",
    )
    if pauses:
        heading("Paused")
        table(["RUNBOOK", "BY", "SINCE", "WHY"], [(p.runbook or "everything", p.who, p.since, p.why) for p in pauses])


@click.command()
@click.option("--runbook", default="", help="Only this one.")
@click.option("--why", required=True, help="For whoever finds it paused.")
@with_json
@click.pass_obj
def pause(scene: Scene, runbook: str, why: str, as_json: bool) -> None:
    """Change nothing any more, everywhere; looking and telling go on."""
    with scene.world() as world:
        name = world.pages[runbook].name if runbook else ""
        row = world.ledger.pause(name, why, person())
    print_json(row.model_dump(mode="json")) if as_json else click.echo(f"paused {name or 'everything'}")


@click.command()
@click.option("--runbook", default="", help="Only this one's pauses.")
@with_json
@click.pass_obj
def resume(scene: Scene, runbook: str, as_json: bool) -> None:
    """End pauses."""
    with scene.world() as world:
        name = world.pages[runbook].name if runbook else ""
        ended = world.ledger.resume(name, person())
    if as_json:
        print_json({"ended": ended})
    else:
        click.echo(f"{ended} pause{'' if ended == 1 else 's'} ended" if ended else "nothing was paused")
