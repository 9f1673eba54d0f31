"""How commands print: JSON with --json, else aligned lines. Colour only says again what a word has said."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
COLOURS = {"good": "green", "bad": "red", "moving": "blue", "waiting": "yellow", "quiet": "bright_black"}


def with_json(command: F) -> F:
    """The option that every listing takes."""
    option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    return option(command)


def print_json(value: object) -> None:
    """One JSON document, for programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def heading(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)


def toned(text: str, tone: str) -> str:
    return click.style(text, fg=COLOURS.get(tone, "reset"))


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], none: str = "nothing") -> None:
    """Columns as wide as they need, the last one free; `none` where there is no row."""
    if not rows:
        click.echo(none)
        return
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(click.unstyle(line[n])) for line in [list(headers), *cells]) for n in range(len(headers))]
    click.secho(_aligned(headers, widths), bold=True)
    for line in cells:
        click.echo(_aligned(line, widths))


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else " ".join(str(value).split())


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    padded = [text + " " * (width - len(click.unstyle(text))) for text, width in zip(line, widths, strict=True)]
    return "  ".join(padded).rstrip()
