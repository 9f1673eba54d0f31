"""Messages as files and log lines, for a machine without any other way to people, and where every other way failed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog

from byteport.errors import Transient
from byteport.model.base import Json, digest_of
from byteport.records.delivery import Delivery, Receipt

SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}")


@dataclass(frozen=True)
class Journal:
    """One Markdown file for each delivery, readable by its owner alone; the name makes a second sending the same file.

    Files stay until somebody removes them.
    """

    folder: Path
    name: str = "journal"
    askable: bool = True

    def send(self, delivery: Delivery) -> Receipt:
        path = self._path(delivery)
        with _writing():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_whole(path, as_markdown(delivery))
        message = delivery.message
        structlog.get_logger(__name__).warning(
            message.title,
            kind=message.kind,
            severity=message.severity,
            incident=delivery.incident,
            reason=message.text,
            dry_run=message.dry_run,
            link=message.link,
            file=str(path),
        )
        return Receipt(reference=str(path))

    def find(self, delivery: Delivery) -> Receipt | None:
        path = self._path(delivery)
        with _writing():
            return Receipt(reference=str(path)) if path.is_file() else None

    def _path(self, delivery: Delivery) -> Path:
        name = delivery.marker if SAFE.fullmatch(delivery.marker) else digest_of(delivery.marker)
        return self.folder / f"{name}.md"


def as_markdown(delivery: Delivery) -> str:
    """Everything that is to be told. Pure."""
    message = delivery.message
    parts = [f"# {' '.join(message.title.split())}"]
    if message.dry_run:
        parts.append("**Dry run: nothing was changed.**")
    if message.text:
        parts.append(message.text)
    parts.append("\n".join(_facts(delivery)))
    for name, value in message.bundle.items():
        if value not in (None, "", [], {}):
            parts.append(f"## {name.replace('_', ' ')}\n\n{_fenced(value)}")
    return "\n\n".join(parts) + "\n"


def _facts(delivery: Delivery) -> Iterator[str]:
    message = delivery.message
    facts: Json = {"kind": message.kind, "severity": message.severity}
    facts |= {"incident": delivery.incident} if delivery.incident else {}
    facts |= message.fields
    if message.link:
        facts["link"] = message.link
    if delivery.repeat_of:
        facts["adds to"] = delivery.repeat_of
    for name, value in facts.items():
        yield f"- {name}: {' '.join(str(value).split())}"


def _fenced(value: object) -> str:
    """A fence longer than any within."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        text = "\n".join(value)
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _write_whole(path: Path, text: str) -> None:
    """Whole or not at all, also where the power fails: `find` takes the file for the message."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise Transient(f"journal: {problem.strerror} ({problem.filename})") from problem
