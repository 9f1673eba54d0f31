"""`signal send`: a signal from a file or standard input."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import IO, Any

import click

from byteport.cli.output import print_json, with_json
from byteport.cli.scene import Scene

LARGEST = 1024 * 1024


@click.group()
def signal() -> None:
    """Put signals in by hand."""


@signal.command()
@click.argument("file", type=click.File("rb"))
@with_json
@click.pass_obj
def send(scene: Scene, file: IO[bytes], as_json: bool) -> None:
    """Send the signal that FILE (- is standard input) holds as one JSON object."""
    told = _read(file)
    with scene.world("cli") as world:
        admission = world.engine.take(told)
    if as_json:
        print_json({"resolved": True} if admission is None else admission.model_dump(mode="json"))
    elif admission is None:
        click.echo("noted: the condition has cleared")
    else:
        became = "a duplicate of" if admission.duplicate else "absorbed by" if admission.absorbed else "opened"
        click.echo(f"{became} incident {admission.incident}")


def _read(file: IO[bytes]) -> Any:
    """Raises BadSignal naming the wrong field; `source` is cli and `fired_at` now where they are missing."""
    from pydantic import ValidationError

    from byteport.errors import BadSignal
    from byteport.model.signal import Signal

    text = file.read(LARGEST + 1)
    try:
        told = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError) as wrong:
        raise BadSignal(
            "signal", f"one JSON object in UTF-8 ({wrong.args[0] if wrong.args else 'unreadable'})"
        ) from None
    if not isinstance(told, dict):
        raise BadSignal("signal", f"one JSON object of at most {LARGEST} bytes")
    whole = {"source": "cli", "fired_at": datetime.now(UTC).isoformat(), **told}
    try:
        return Signal.model_validate_json(json.dumps(whole))
    except ValidationError as problem:
        line = problem.errors(include_url=False, include_input=False)[0]
        expected = "not a field of a signal" if line["type"] == "extra_forbidden" else line["msg"]
        raise BadSignal(".".join(str(part) for part in line["loc"]) or "signal", expected) from None
