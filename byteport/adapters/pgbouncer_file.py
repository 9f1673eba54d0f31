"""pgbouncer's configuration file, where its owner has opted it in: one number may be replaced in it."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from byteport.errors import Permanent

_SECTION = re.compile(r"^\s*\[\s*(?P<name>[^\]]+?)\s*\]\s*$")
LARGEST = 1024 * 1024


@dataclass(frozen=True)
class PoolerFile:
    """`path` must be an ordinary file (links are followed), written whole and put in place at once."""

    path: Path

    def replace_number(self, key: str, was: int, to: int) -> bool:
        """Make `key` in [pgbouncer] say `to` where it says `was`; False where it does already.

        Raises Permanent where it says something else, stands twice or not at all (an include may hold it), or cannot
        be written.
        """
        try:
            path = self.path.resolve(strict=True)
            text = _read(path)
            changed = _changed(text, key, was, to, str(self.path))
            if changed != text:
                _put_in_place(path, changed)
            return changed != text
        except (OSError, UnicodeDecodeError) as problem:
            raise Permanent(f"{self.path}: {problem}") from problem


def _read(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise Permanent(f"{path}: larger than {LARGEST} bytes is no configuration file of a pooler")
    return content.decode()


def _changed(text: str, key: str, was: int, to: int, name: str) -> str:
    lines = text.splitlines(keepends=True)
    setting = re.compile(rf"^(\s*{re.escape(key)}\s*=\s*)(\d+)(\s*)$")
    found = [n for n, line in _lines_of_section(lines) if re.match(rf"^\s*{re.escape(key)}\s*=", line)]
    match = setting.match(lines[found[0]]) if len(found) == 1 else None
    if match is None:
        raise Permanent(f"{name}: [pgbouncer] must say `{key} = NUMBER` exactly once")
    if int(match[2]) not in (was, to):
        raise Permanent(f"{name}: {key} is {match[2]}, and not {was} as the pooler runs with: somebody is changing it")
    lines[found[0]] = f"{match[1]}{to}{match[3]}"
    return "".join(lines)


def _lines_of_section(lines: list[str]) -> list[tuple[int, str]]:
    section, told = "", []
    for n, line in enumerate(lines):
        if header := _SECTION.match(line):
            section = header["name"].lower()
        elif section == "pgbouncer":
            told.append((n, line))
    return told


def _put_in_place(path: Path, text: str) -> None:
    """Write beside it and rename: a reader sees the old file or the new one, with the old one's owner and mode."""
    before = path.stat()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fchmod(file.fileno(), before.st_mode & 0o7777)
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
