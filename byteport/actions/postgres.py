"""Ending and cancelling sessions of a database.

All three may be repeated: a session is named by its pid and its start, a statement by its start too, and the server
compares them in the statement that signals. The same order given twice can only reach the same session, once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from datetime import timedelta
from typing import ClassVar, Self

from pydantic import Field

from byteport.grammar.action import Action, Effect, Marked
from byteport.model.base import Json
from byteport.model.facts.database import SessionRef
from byteport.model.units import seconds
from byteport.ports import Readers, Writers
from byteport.ports_database import SessionFate, Spared


class SessionAction(Action):
    """What the three have in common: a batch of sessions of one database, and the words that protect a session."""

    idempotent: ClassVar = True
    divisible: ClassVar = True
    timeout: ClassVar[timedelta] = seconds(22)
    doing: ClassVar[str]
    done: ClassVar[str] = "ended"

    database: str
    server: str
    sessions: tuple[SessionRef, ...] = Field(max_length=100)
    spared: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        return f"database:{self.database}"

    @property
    def write_scope(self) -> str:
        return self.server

    @property
    def within(self) -> tuple[str, ...]:
        return (f"server:{self.server}",)

    @property
    def amount(self) -> int:
        return len(self.sessions)

    def first(self, n: int) -> Self:
        return self.with_(sessions=self.sessions[:n])

    def preview(self, readers: Readers) -> str:
        pids = ", ".join(str(session.pid) for session in self.sessions)
        return f"{self.doing} {len(self.sessions)} of {self.database}: pid {pids or 'none'}"

    def look_before(self, readers: Readers) -> Json:
        return {"there": [str(ref) for ref in readers.database.still_there(self.database, self.sessions)]}

    def holds(self, readers: Readers, intent: Marked) -> bool:
        """None of them is there any more. Once the server has answered: none of those that it let us reach."""
        wanted = self.sessions
        if intent.effect is not None:
            wanted = tuple(ref for ref in wanted if str(ref) in intent.effect.items)
        return not readers.database.still_there(self.database, wanted)

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        fates = self._signal(writers, Spared(words=self.spared))
        again = intent.attempts > 1  # an earlier attempt may have reached those that are gone now
        reached = [fate for fate in fates if fate.reached or (again and fate.fate == "gone")]
        return Effect(
            note=_note(self.doing, self.done, fates), count=len(reached), items=tuple(str(fate.ref) for fate in reached)
        )

    @abstractmethod
    def _signal(self, writers: Writers, spared: Spared) -> tuple[SessionFate, ...]: ...


class EndIdleSessions(SessionAction):
    """End sessions that are still idle in transaction, for at least `idle_for`."""

    verbs: ClassVar[tuple[str, ...]] = ("pg_terminate_backend",)
    doing: ClassVar[str] = "end sessions idle in transaction:"

    idle_for: timedelta

    def _signal(self, writers: Writers, spared: Spared) -> tuple[SessionFate, ...]:
        return writers.sessions.end_idle(self.database, self.sessions, self.idle_for, spared)


class CancelStatements(SessionAction):
    """Cancel statements that are still the same ones; their sessions stay."""

    verbs: ClassVar[tuple[str, ...]] = ("pg_cancel_backend",)
    doing: ClassVar[str] = "cancel statements:"
    done: ClassVar[str] = "cancelled"

    def holds(self, readers: Readers, intent: Marked) -> bool:
        """Asked once is asked: whether they stop is the plan's next look, and ending them its next step."""
        return intent.effect is not None or super().holds(readers, intent)

    def _signal(self, writers: Writers, spared: Spared) -> tuple[SessionFate, ...]:
        return writers.sessions.cancel(self.database, self.sessions, spared)


class EndStatements(SessionAction):
    """End sessions that still run the very statement that was cancelled before."""

    verbs: ClassVar[tuple[str, ...]] = ("pg_terminate_backend",)
    doing: ClassVar[str] = "end sessions that ignored their cancel:"

    def _signal(self, writers: Writers, spared: Spared) -> tuple[SessionFate, ...]:
        return writers.sessions.end_statement(self.database, self.sessions, spared)


def _note(doing: str, done: str, fates: tuple[SessionFate, ...]) -> str:
    """One line for people: how many had which fate, and, one by one, those that had written."""
    counts = Counter(done if fate.fate == "ended" else fate.fate.replace("_", " ") for fate in fates)
    told = ", ".join(f"{n} {fate}" for fate, n in sorted(counts.items())) or "none"
    wrote = [str(fate.ref) for fate in fates if fate.reached and fate.has_written]
    return f"{doing} {told}" + (f"; had written and blocked others: {'; '.join(wrote)}" if wrote else "")
