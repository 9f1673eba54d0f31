"""Capturing a heap before what holds it is gone."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import ClassVar

from pydantic import Field

from byteport.actions.commands import Word
from byteport.actions.units import HostName, UnitName, service_name
from byteport.grammar.action import Action, Effect, Marked
from byteport.model.base import Json
from byteport.model.units import seconds
from byteport.ports import Readers, Writers

LASTS = seconds(60)


class CaptureHeap(Action):
    """Run the operator's command that has the service write a dump of its heap, detached, as BytePort's ordinary user,
    for a minute at most. Its words stand in the configuration. The dump stays where it is: only its place is told."""

    idempotent: ClassVar[bool] = False
    verbs: ClassVar[tuple[str, ...]] = ("run",)
    patience: ClassVar[timedelta] = LASTS + seconds(30)

    host: HostName
    unit: UnitName
    group: str = Field(min_length=1, max_length=63)
    argv: tuple[Word, ...] = Field(min_length=1, max_length=32)
    folder: str = Field(default="", max_length=1024)

    @property
    def subject(self) -> str:
        return service_name(self.host, self.unit)

    @property
    def write_scope(self) -> str:
        return f"host_group:{self.group}"

    @property
    def within(self) -> tuple[str, ...]:
        return (f"host:{self.host}",)

    def preview(self, readers: Readers) -> str:
        return f"on {self.host}, to capture the heap of {self.unit}: {' '.join(self.argv)}"

    def look_before(self, readers: Readers) -> Json:
        return {"folder": self.folder}

    def holds(self, readers: Readers, intent: Marked) -> bool:
        found = readers.units.unit(self.host, named(intent))
        return found is not None and found.went_well

    def failed(self, readers: Readers, intent: Marked) -> str:
        found = readers.units.unit(self.host, named(intent))
        return str(found) if found is not None and found.is_over and not found.went_well else ""

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        writers.units.start(self.host, named(intent), self.argv, {"PATH": "/usr/bin:/bin"}, LASTS)
        return Effect(note=f"captured under {self.folder or 'the place that the command names'}", items=(self.folder,))


def named(intent: Marked) -> str:
    """The name of the transient unit: one for each intent."""
    return f"byteport-{sha256(intent.key.encode()).hexdigest()[:24]}"
