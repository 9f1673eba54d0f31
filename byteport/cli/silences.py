"""`silence`: add, list, end. A silence stops acting on what it matches; looking and telling go on."""

from __future__ import annotations

import click

from byteport.cli.output import print_json, table, with_json
from byteport.cli.scene import Scene, person


@click.group()
def silence() -> None:
    """Keep hands off for a while: what matches is looked at and told of, and not changed."""


@silence.command()
@click.option("--match", "matches", multiple=True, required=True, help="NAME=VALUE; several must all agree.")
@click.option("--for", "length", required=True, help="How long: 30m, 2h, 1d12h.")
@click.option("--why", required=True, help="For whoever finds it silenced.")
@with_json
@click.pass_obj
def add(scene: Scene, matches: tuple[str, ...], length: str, why: str, as_json: bool) -> None:
    """Silence what matches: labels of the signal, or runbook, target, kind, signal and source."""
    from byteport.shown.silencing import length_of, match_of

    match, lasts = match_of(matches), length_of(length)
    if not why.strip():
        raise click.UsageError("--why: a reason, for whoever finds it silenced")
    with scene.world() as world:
        number = world.ledger.silence(match, lasts, why.strip(), person())
    if as_json:
        print_json({"id": number, "match": match, "seconds": lasts.total_seconds(), "why": why.strip()})
    else:
        click.echo(f"silence {number}: {' '.join(matches)} for {length}")


@silence.command("list")
@with_json
@click.pass_obj
def list_(scene: Scene, as_json: bool) -> None:
    """List those that hold, Alertmanager's among them where BytePort reads them."""
    from byteport.shown.times import moment

    with scene.world() as world:
        found = world.ledger.silences()
    if as_json:
        print_json([{**row.model_dump(mode="json"), "selects": row.selects} for row in found])
        return
    table(
        ["ID", "SELECTS", "UNTIL", "BY", "WHY"],
        [(row.origin or row.id, row.selects, moment(row.until), row.who, row.why) for row in found],
        none="nothing is silenced",
    )


@silence.command()
@click.argument("number", type=int)
@with_json
@click.pass_obj
def end(scene: Scene, number: int, as_json: bool) -> None:
    """End a silence of BytePort's own now (NUMBER of `silence list`)."""
    from byteport.errors import BadInput

    with scene.world() as world:
        if not world.ledger.end_silence(number, person()):
            raise BadInput("number", f"the number of a silence of BytePort's own that holds, got {number}")
    print_json({"ended": number}) if as_json else click.echo(f"silence {number} has ended")
