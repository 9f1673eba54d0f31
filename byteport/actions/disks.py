"""Freeing space on a host: files that were listed, and commands that its own tools have for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from byteport.actions.commands import unit_of
from byteport.grammar.action import Action, Effect, Marked
from byteport.model.base import Json
from byteport.model.facts.disks import FoundFile
from byteport.model.root_commands import What, change_files
from byteport.model.units import minutes, seconds
from byteport.ports import Readers, Writers

RUNS_FOR = minutes(10)
Word = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
Command = tuple[Word, ...]


class OnDisk(Action):
    """What all of them have in common: a host, and the mount that they are for."""

    host: str = Field(min_length=1, max_length=253)
    group: str = "default"
    mount: str = Field(pattern=r"^/")

    @property
    def subject(self) -> str:
        return f"host:{self.host}:{self.mount}"

    @property
    def write_scope(self) -> str:
        """The host's group in the inventory."""
        return f"host_group:{self.group}"

    @property
    def within(self) -> tuple[str, ...]:
        return (f"host:{self.host}",)

    def look_before(self, readers: Readers) -> Json:
        """How full it was, so that it can be told what this has freed."""
        seen = readers.disks.file_system(self.host, self.mount)
        return {"bytes_used": seen.bytes_used, "inodes_used": seen.inodes_total - seen.inodes_free}


class InUnit(OnDisk):
    """Runs as a unit named after its intent: what takes longer than a look is looked at, and not waited for."""

    idempotent: ClassVar[bool] = False
    patience: ClassVar[timedelta] = RUNS_FOR + minutes(1)

    def holds(self, readers: Readers, intent: Marked) -> bool:
        found = readers.units.unit(self.host, unit_of(intent))
        return found is not None and found.went_well

    def failed(self, readers: Readers, intent: Marked) -> str:
        """Empty while it may still end well."""
        found = readers.units.unit(self.host, unit_of(intent))
        return str(found) if found is not None and found.is_over and not found.went_well else ""


class OnFiles(OnDisk):
    """A sweep: files of one kind below a root, each named as it was found."""

    what: What
    root: str = Field(pattern=r"^/")
    minutes: int = Field(ge=1)
    files: tuple[FoundFile, ...] = Field(max_length=500)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def preview(self, readers: Readers) -> str:
        named = "; ".join(f"{file.path} ({in_words(file.bytes)})" for file in self.files)
        doing = "remove" if self.what in ("tmp", "rotated") else "compress"
        return f"{doing} {len(self.files)} files of {in_words(self.bytes)} on {self.host}: {named}"


class RemoveFiles(OnFiles):
    """Remove them. May be repeated: each is judged again at the host, and what has changed since is left alone."""

    idempotent: ClassVar[bool] = True
    verbs: ClassVar[tuple[str, ...]] = ("rm",)
    timeout: ClassVar[timedelta] = seconds(25)

    what: Literal["tmp", "rotated"]

    def holds(self, readers: Readers, intent: Marked) -> bool:
        """None of them is there; once the host has answered, none of those that it has removed."""
        gone = {file.path for file in self.files} if intent.effect is None else set(intent.effect.items)
        files = tuple(file for file in self.files if file.path in gone)
        return not readers.disks.still_there(self.host, self.what, self.root, self.minutes, files)

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        told = writers.cleaning.change(self.host, self.what, self.root, self.minutes, self.files)
        kept = ", ".join(f"{n} {word}" for word, n in sorted(told.left.items()))
        note = f"removed {len(told.done)} files of {in_words(told.bytes)}" + (f"; left: {kept}" if kept else "")
        return Effect(note=note, count=len(told.done), items=told.done)


class CompressFiles(InUnit, OnFiles):
    """Compress them, in a unit of its own: that takes as long as there is to read."""

    verbs: ClassVar[tuple[str, ...]] = ("gzip",)

    what: Literal["aged", "big"]
    files: tuple[FoundFile, ...] = Field(max_length=100)

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        name = unit_of(intent)
        command = change_files("apply", self.what, self.root, self.minutes)
        listed = "".join(f"{file.line}\n" for file in self.files).encode()
        writers.units.start_as_root(self.host, name, (command,), RUNS_FOR, listed)
        return Effect(note=f"compressing {len(self.files)} logs as {name} on {self.host}", count=len(self.files))


class CleanUp(InUnit):
    """Let the host's own tools free what is theirs: journal, rotated logs, images and containers, package caches.
    `place` is the folder that they clean."""

    verbs: ClassVar[tuple[str, ...]] = ("run",)

    what: Word
    place: str = Field(pattern=r"^/")
    commands: tuple[Command, ...] = Field(min_length=1, max_length=8)

    def preview(self, readers: Readers) -> str:
        shown = "; ".join(" ".join(command) if len(command) < 4 else command[0] for command in self.commands)
        return f"{self.what} on {self.host}: {shown}"

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        name = unit_of(intent)
        writers.units.start_as_root(self.host, name, self.commands, RUNS_FOR)
        return Effect(note=f"{self.what}: started {name} on {self.host}", items=(name,))


def in_words(size: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
