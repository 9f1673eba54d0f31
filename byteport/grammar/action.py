"""An action: one mutation of a target as a value."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Protocol, Self
from weakref import WeakValueDictionary

from pydantic import BeforeValidator, PlainSerializer

from byteport.errors import BadRunbook
from byteport.model.base import Json, Value
from byteport.model.units import minutes, seconds
from byteport.ports import Readers, Writers


class Marked(Protocol):
    """What an action may know of its intent: a name for the target, what was before, what was answered."""

    @property
    def key(self) -> str: ...
    @property
    def pre_state(self) -> Json: ...
    @property
    def attempts(self) -> int: ...
    @property
    def effect(self) -> Effect | None: ...


class Effect(Value):
    """What the target answered: how much was changed, and a line for people. `items` name what was touched."""

    note: str = ""
    count: int = 1
    items: tuple[str, ...] = ()


class Action(Value):
    """One mutation. State what should be so, then repeating is harmless; where it is not, say `idempotent = False`
    and let `apply` carry a condition that the target itself checks.

    `timeout` bounds one `apply` (at most 25 s); `patience` is how long an effect may take to show. What is `lasting`
    stays until somebody changes it, so a later look can tell that somebody brought back what was before.
    """

    idempotent: ClassVar[bool]
    verbs: ClassVar[tuple[str, ...]] = ()
    divisible: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    timeout: ClassVar[timedelta] = seconds(20)
    patience: ClassVar[timedelta] = minutes(2)
    schema_version: ClassVar[int] = 1

    @classmethod
    def kind(cls) -> str:
        return f"{cls.__module__}:{cls.__qualname__}"

    @property
    def subject(self) -> str:
        """What exactly is changed, as kind:key; locks and per-subject budgets are kept on it. What is also a target
        has that target's name."""
        raise BadRunbook(type(self).__name__, "an action names its subject")

    @property
    def write_scope(self) -> str:
        """Where the global ceiling on writes counts: the cluster, host group or database server."""
        raise BadRunbook(type(self).__name__, "an action names its write_scope")

    @property
    def within(self) -> tuple[str, ...]:
        """What the subject is part of, and what else would feel it (a drain: the workloads with pods on the node), as
        kind:key; shared locks are taken on it."""
        return ()

    @property
    def amount(self) -> int:
        """How much this counts in budgets that count members of a batch."""
        return 1

    def first(self, n: int) -> Self:
        """The same action on its first `n` members; only a divisible one differs."""
        return self

    def preview(self, readers: Readers) -> str:
        """One line: what it would do, in real names."""
        raise BadRunbook(type(self).__name__, "an action previews itself")

    def look_before(self, readers: Readers) -> Json:
        """What is so now and would be lost; kept with the intent. Read only."""
        return {}

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        """Has it happened? None: cannot be told. Read only; raises Transient or Permanent."""
        raise BadRunbook(type(self).__name__, "an action can tell whether it holds")

    def failed(self, readers: Readers, intent: Marked) -> str:
        """Why it has ended at the target without its effect, in words; empty while the effect may still come. Asked
        only of what was begun. Read only; raises Transient or Permanent."""
        return ""

    def reverted(self, readers: Readers, intent: Marked) -> bool:
        """Whether somebody brought back what was before: it does not hold, and what is so now is what was so then.
        A later change to something else is no undo. Read only; raises Transient or Permanent."""
        gone = self.lasting and self.holds(readers, intent) is False
        return gone and self.look_before(readers) == intent.pre_state

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        """Change the target. Raises Transient (may be repeated if idempotent) or Permanent."""
        raise BadRunbook(type(self).__name__, "an action can be applied")


def _subclasses(cls: type[Action]) -> list[type[Action]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in _subclasses(sub))]


_named: WeakValueDictionary[str, type[Action]] = WeakValueDictionary()


def action_named(kind: str) -> type[Action]:
    """The loaded action class of that kind; raises BadRunbook where its page is not loaded here."""
    if (known := _named.get(kind)) is not None:
        return known
    for cls in _subclasses(Action):
        if cls.kind() == kind:
            _named[kind] = cls
            return cls
    raise BadRunbook("action.kind", f"{kind!r} is not an action that this process has loaded")


def dump_action(action: Action) -> Json:
    return {"kind": action.kind(), "schema": action.schema_version, "fields": action.model_dump(mode="json")}


def load_action(stored: Any) -> Action:
    """The action as it was stored; a schema version that this process does not write is refused."""
    if isinstance(stored, Action):
        return stored
    cls = action_named(stored["kind"])
    if stored["schema"] != cls.schema_version:
        raise BadRunbook(stored["kind"], f"schema {stored['schema']} was stored, this process has {cls.schema_version}")
    return cls.model_validate(stored["fields"])


AnyAction = Annotated[Action, BeforeValidator(load_action), PlainSerializer(dump_action)]
