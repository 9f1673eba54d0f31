"""`guards list` and `reset`, `pause`, `resume`: what stands beside the incidents."""

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
    """List them with what is used of which limit, the time left, and who holds it; pauses and resets below."""
    from byteport.shown import guards as standing
    from byteport.shown.times import left, moment

    with scene.world() as world:
        found = standing.fetch(world.ledger, world.pages)
    if as_json:
        print_json(standing.as_json(found))
        return
    table(
        ["COUNTER", "KIND", "USED", "LIMIT", "TIME LEFT", "HELD BY"],
        [(row.key, row.kind, row.used, row.limit, left(row.seconds_left), row.holder) for row in found.rows],
        none="nothing is spent and no lock is held",
    )
    if found.pauses:
        heading("Paused")
        rows = [(p.runbook or "everything", p.who, moment(p.since), p.why) for p in found.pauses]
        table(["RUNBOOK", "BY", "SINCE", "WHY"], rows)
    if found.resets:
        heading("Reset by people")
        table(["COUNTER", "BY", "AT", "WHY"], [(r.key, r.who, moment(r.at), r.why) for r in found.resets[:10]])


@guards.command()
@click.argument("key")
@click.option("--why", required=True, help="Kept with the reset.")
@with_json
@click.pass_obj
def reset(scene: Scene, key: str, why: str, as_json: bool) -> None:
    """Let what was spent on KEY (a counter of `guards list`) count no more. Nothing is deleted."""
    if not why.strip():
        raise click.UsageError("--why: a reason, for whoever finds it reset")
    with scene.world() as world:
        ended = world.engine.reset_guard(key, person(), why.strip())
    if as_json:
        print_json({"key": key, "spends": ended, "why": why.strip()})
    else:
        click.echo(f"{key}: {ended} spend{'' if ended == 1 else 's'} count no more")


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
