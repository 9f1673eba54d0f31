"""How a command ends: 0 done, 1 our fault or a store's, 2 wrong usage or configuration; `run` has more of its own."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

import click

from byteport.errors import BadConfiguration, BadInput, BytePortError

INTERNAL, USAGE = 1, 2


def ended_by(command: Callable[[], object]) -> None:
    """Run it and exit; raises SystemExit and nothing else. BYTEPORT_DEBUG shows a traceback besides."""
    try:
        code = command()
    except Exception as problem:  # noqa: BLE001 - the last one who can say it clearly
        if os.environ.get("BYTEPORT_DEBUG"):
            traceback.print_exc()
        code = told(problem)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def told(problem: Exception) -> int:
    """Say on standard error what is wrong, field and expectation, and return the exit code."""
    from byteport.redaction import redact_text

    match problem:
        case click.Abort():
            lines, code = ["stopped"], 130
        case click.exceptions.Exit():
            return problem.exit_code
        case click.UsageError():
            usage = problem.ctx.get_usage() if problem.ctx is not None else ""
            lines, code = [*filter(None, [usage]), f"byteport: {problem.format_message()}"], USAGE
        case click.ClickException():
            lines, code = [f"byteport: {problem.format_message()}"], USAGE
        case BadConfiguration():
            lines = [f"byteport: {key}: {redact_text(expected)}" for key, expected in problem.problems]
            code = USAGE
        case BadInput():
            lines, code = [f"byteport: {redact_text(str(problem))}"], USAGE
        case BytePortError():
            lines, code = [f"byteport: {redact_text(str(problem))}"], INTERNAL
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return INTERNAL
        case _:
            name = type(problem).__name__
            shown = redact_text(str(problem)).splitlines()
            lines = [f"byteport: internal error: {name}: {shown[0] if shown else ''} (BYTEPORT_DEBUG=1 shows where)"]
            code = INTERNAL
    for line in lines:
        click.echo(line, err=True)
    return code
