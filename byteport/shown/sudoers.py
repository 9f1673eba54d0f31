"""Which commands a runbook may run as root at a host, as sudoers(5) wants them written: exactly these words.

sudo compares a command's words, joined by spaces, with a pattern of fnmatch(3); everything that has a meaning there or
in sudoers itself is written so that it stands for itself. `ANY_IMAGE` alone stands for whatever it can be: the id of an
image, 64 hexadecimal digits and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from byteport.model.root_commands import ANY_IMAGE

_MEANS_SOMETHING = re.compile(r"[*?\[\]!,:=#]")  # to fnmatch, or to sudoers


def sudoers(runbook: str, user: str, commands: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a file for /etc/sudoers.d, each command once."""
    yield f"# BytePort, {runbook}: all that {user} may do as root for it. Check it with visudo -c before installing it."
    yield f"Defaults:{user} !requiretty"
    for command in dict.fromkeys(tuple(command) for command in commands):
        yield f"{user} ALL=(root) NOPASSWD: {written(command)}"


def written(command: Sequence[str]) -> str:
    """One command; raises ValueError for what sudoers cannot say."""
    program, *words = command
    line = " ".join(words)
    if not program.startswith("/") or re.search(r"[\n\t]|  |^ | $", line):
        raise ValueError(f"{program}: an absolute path, and words without tabs, line ends or doubled spaces")
    return f"{_escaped(program)} {_escaped(line)}" if words else f'{_escaped(program)} ""'


def _escaped(text: str) -> str:
    """A backslash is read twice: by sudoers, and by fnmatch."""
    if ANY_IMAGE in text:
        before, _, after = text.partition(ANY_IMAGE)
        return f"{_escaped(before)}sha256\\:{'[0-9a-f]' * 64}{_escaped(after)}"
    return _MEANS_SOMETHING.sub(r"\\\g<0>", text.replace("\\", "\\" * 4))
