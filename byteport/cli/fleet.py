"""`up`, `demo`, `web`, `migrate`: processes and servers on this machine."""

from __future__ import annotations

import click

from byteport.cli.output import with_json
from byteport.cli.scene import Scene


@click.command()
@click.pass_obj
def up(scene: Scene) -> int:
    """Run everything on this machine: servers unless configured, workers, console."""
    from byteport.embedded.up import up as run_fleet

    return run_fleet(scene.settings(), click.echo, scene.config)


@click.command()
@click.option("--dry-run", is_flag=True, help="Decide everything, end nothing.")
@click.option("--keep", is_flag=True, help="Stay up afterwards, to look around in the console.")
@with_json
@click.pass_obj
def demo(scene: Scene, dry_run: bool, keep: bool, as_json: bool) -> int:
    """Play one incident for real, from the signal to the postmortem."""
    from byteport.embedded.demo import demo as play

    return play(dry_run=dry_run, as_json=as_json, keep=keep, data_dir=scene.data_dir)


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on.")
@click.pass_obj
def web(scene: Scene, host: str | None, port: int | None) -> None:
    """Serve webhooks, the API and the console."""
    from byteport.web.serve import serve

    settings = scene.settings()
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = settings.model_copy(update={"web": settings.web.model_copy(update=given)})
    with scene.world("web", settings=settings) as world:
        click.echo(f"console {world.settings.web.url}", err=True)
        serve(world)


@click.command()
@click.pass_obj
def migrate(scene: Scene) -> None:
    """Bring the ledger's tables up to date; safe to run twice, and from everywhere at once."""
    from byteport.adapters.ledger import migrate as apply
    from byteport.cli.stores import found

    with found(scene.settings()) as settings:
        names = apply(settings.ledger_dsn)
    for name in names:
        click.echo(f"applied {name}")
    if not names:
        click.echo("nothing to do")
