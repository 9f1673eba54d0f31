"""How a command is run on a host: what every transport promises.

A command is a vector of words. Where a shell stands in between, as sshd's does, they are quoted in one place.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from byteport.errors import Permanent
from byteport.model.units import seconds

COMMAND = seconds(20)
MOST = 256 * 1024
MOST_DROPPED = 64 * 1024 * 1024  # after that nobody waits for what prints without end


@dataclass(frozen=True)
class Completed:
    """A command that has ended: its exit status (negative: by a signal), and the beginning of its output, 256 KiB of
    each stream. What is no UTF-8 is shown by replacement characters."""

    status: int
    stdout: str
    stderr: str
    truncated: bool = False


class Transport(Protocol):
    """One host. `run` raises Transient (out of reach, out of time, cut off: whether the command has run is then not
    known), Denied (no login, a host key that is not known) or Permanent."""

    def run(self, argv: Sequence[str], *, within: timedelta = COMMAND, stdin: bytes = b"") -> Completed: ...
    def close(self) -> None: ...


class ByName(Protocol):
    """The hosts of the configuration."""

    def get(self, name: str) -> Transport:
        """Raises Denied where there is no such host."""
        ...


@dataclass
class Kept:
    """The beginning of a stream."""

    kept: bytearray = field(default_factory=bytearray)
    seen: int = 0

    def add(self, chunk: bytes) -> None:
        self.seen += len(chunk)
        self.kept += chunk[: MOST - len(self.kept)]

    @property
    def cut(self) -> bool:
        return self.seen > len(self.kept)

    @property
    def text(self) -> str:
        return self.kept.decode("utf-8", "replace")


def checked(argv: Sequence[str]) -> list[str]:
    """The words; raises Permanent for none, and for what no command line can hold."""
    words = list(argv)
    if not words or not words[0] or any("\x00" in word for word in words):
        raise Permanent("a command has words, and none of them holds NUL")
    return words


def quoted(argv: Sequence[str]) -> str:
    """One line for the POSIX shell at the other end, which makes exactly these words of it again."""
    return shlex.join(checked(argv))
