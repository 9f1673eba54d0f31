"""`replay`: decide a recorded incident again, with no server."""

from __future__ import annotations

import json
from typing import IO

import click

from byteport.cli.output import print_json, table, with_json

LARGEST = 64 * 1024 * 1024


@click.command()
@click.argument("file", type=click.File("rb"))
@with_json
@click.pass_obj
def replay(scene: object, file: IO[bytes], as_json: bool) -> int:
    """Decide FILE (of `incidents export`; - is standard input) again; exit 0 the same, 1 different, 2 unreadable."""
    from byteport import plugins
    from byteport.cli.scene import Scene
    from byteport.engine.pages import Pages
    from byteport.errors import BadInput
    from byteport.shown import replaying

    folder = scene.settings().pages_folder if isinstance(scene, Scene) else None
    text = file.read(LARGEST + 1)
    try:
        told = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadInput("recording", "one JSON object as `byteport incidents export` writes it")
    recording = replaying.read(told)
    page = Pages(plugins.find(folder).pages)[recording.incident.runbook]
    decided = replaying.decide(recording, page)
    if as_json:
        print_json(
            {
                "same": decided.same,
                "differences": list(decided.differences),
                "same_page": decided.same_page,
                "classification": decided.diagnosis.name,
                "confidence": decided.diagnosis.confidence / 100,
                "diagnosis": decided.diagnosis.model_dump(mode="json"),
                "plan_digest": decided.plan.digest if decided.plan is not None else None,
            }
        )
    else:
        _tell(recording.incident.id, decided)
    return 0 if decided.same else 1


def _tell(incident: str, decided: object) -> None:
    from byteport.shown.replaying import Decided

    if not isinstance(decided, Decided):
        return
    found = decided.diagnosis
    words = {True: "held", False: "ruled out", None: "unknown"}
    click.echo(f"incident {incident}: {found.name}, confidence {found.confidence / 100:.2f}: {found.because}")
    table(["RULE", "ANSWER", "WHY"], [(line.name, words[line.held], line.because) for line in found.considered])
    click.echo()
    if not decided.same_page:
        click.echo("the page has changed since")
    for difference in decided.differences:
        click.echo(f"different: {difference}")
    if decided.same:
        click.secho("same diagnosis" + (" and plan" if decided.plan is not None else ""), fg="green")
