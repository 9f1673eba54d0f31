"""Making a cloud's disk larger."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from byteport.actions.disks import OnDisk
from byteport.grammar.action import Effect, Marked
from byteport.model.facts.disks import Volume
from byteport.model.units import minutes
from byteport.ports import Readers, Writers


class GrowVolume(OnDisk):
    """Once, and never again by itself: a disk cannot be made smaller, and its provider counts changes. It has happened
    when the new size can be used."""

    idempotent: ClassVar[bool] = False
    verbs: ClassVar[tuple[str, ...]] = ("ModifyVolume", "disks.resize")
    lasting: ClassVar[bool] = True
    patience: ClassVar[timedelta] = minutes(10)

    volume: Volume
    to: int = Field(ge=1, description="gigabytes")

    @property
    def subject(self) -> str:
        return f"volume:{self.volume.id}"

    @property
    def within(self) -> tuple[str, ...]:
        return (f"host:{self.host}:{self.mount}", f"host:{self.host}")

    def preview(self, readers: Readers) -> str:
        return f"grow {self.volume.id} under {self.mount} of {self.host} from {self.volume.gigabytes} to {self.to} GB"

    def holds(self, readers: Readers, intent: Marked) -> bool:
        now = readers.volumes.volume(self.host, self.mount)
        return now.id == self.volume.id and now.gigabytes >= self.to and not now.changing

    def failed(self, readers: Readers, intent: Marked) -> str:
        change = "".join(intent.effect.items) if intent.effect is not None else ""
        return readers.volumes.failed(self.host, self.volume, change) if change else ""

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        change = writers.volumes.grow(self.host, self.volume, self.to, intent.key)
        note = f"{self.volume.id} grows from {self.volume.gigabytes} to {self.to} GB"
        return Effect(note=note, items=(change,) if change else ())
