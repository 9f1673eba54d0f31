"""Raising the one number of a pooler that BytePort may raise."""

from __future__ import annotations

from typing import ClassVar

from byteport.grammar.action import Action, Effect, Marked
from byteport.model.base import Json
from byteport.ports import Readers, Writers


class RaisePoolSize(Action):
    """Set default_pool_size in the opted-in file and RELOAD. It states what should be so, and may be repeated."""

    idempotent: ClassVar = True
    lasting: ClassVar = True
    verbs: ClassVar[tuple[str, ...]] = ("RELOAD",)

    database: str
    server: str
    was: int
    to: int

    @property
    def subject(self) -> str:
        return f"pooler:{self.database}"

    @property
    def write_scope(self) -> str:
        return self.server

    @property
    def within(self) -> tuple[str, ...]:
        return (f"database:{self.database}", f"server:{self.server}")

    def preview(self, readers: Readers) -> str:
        return f"default_pool_size of the pooler of {self.database}: {self.was} -> {self.to}, then RELOAD"

    def look_before(self, readers: Readers) -> Json:
        return {"default_pool_size": readers.pooler.default_pool_size(self.database)}

    def holds(self, readers: Readers, intent: Marked) -> bool:
        return readers.pooler.default_pool_size(self.database) == self.to

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        writers.pooler.raise_default_pool_size(self.database, self.was, self.to)
        return Effect(note=f"default_pool_size {self.was} -> {self.to}, reloaded", items=(self.subject,))
