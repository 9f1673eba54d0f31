"""What may go wrong with a server of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byteport.errors import Permanent

if TYPE_CHECKING:
    from pathlib import Path

TAIL_LINES = 15


class NotStarted(Permanent):
    """A server on this machine could not be started; the text says why and quotes the end of its log."""


def log_tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, for an error's text; empty when there is none yet."""
    if not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 8192))
        return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-lines:])
