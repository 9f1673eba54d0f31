"""What is sick, and how to reach it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from byteport.model.base import Value

Key = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, StringConstraints(max_length=2048, pattern=r"^[^\x00]*$")]
FullName = Annotated[str, StringConstraints(max_length=512, pattern=r"^[a-z][a-z_]*:[^\x00-\x1f\x7f]+$")]
_NAME = re.compile(r"[a-z][a-z_]*:[^\x00-\x1f\x7f]+")
_HOST_AND_PORT = re.compile(r"(?!(?:server|cluster|namespace|host|node|pod|deployment|service|pooler):)[^:]+:[0-9]+")


def is_full_name(name: str) -> bool:
    """Whether it is kind:key, as everything is named that a lock, a prohibition or a budget stands on.

    One thing must have one name in every runbook, whether it is somebody's target, an action's subject or what either
    is within: only so do two runbooks see that they are about to act on the same one.
    """
    return _NAME.fullmatch(name) is not None


class TargetKind(StrEnum):
    """Everything that a runbook can act on."""

    HOST = "host"
    POD = "pod"
    NODE = "node"
    DEPLOYMENT = "deployment"
    CONTAINER = "container"
    DOMAIN = "domain"
    DATABASE = "database"
    SERVICE = "service"
    WORKFLOW_RUN = "workflow_run"
    ISSUE = "issue"


class Target(Value):
    """What is acted on. `within` names what it is part of (a database: its server), innermost first, as kind:key.

    `coordinates` say how to reach it by the names of the configuration; they never hold a secret.
    """

    kind: TargetKind
    key: Key
    within: tuple[Key, ...] = ()
    coordinates: dict[Key, Text] = Field(default_factory=dict, max_length=32)

    @field_validator("within", mode="before")
    @classmethod
    def _in_full(cls, within: Any, info: ValidationInfo) -> Any:
        """Kind and key; the bare names that earlier releases stored of databases were their servers'."""
        names = tuple(within) if isinstance(within, list | tuple | set | frozenset) else ()
        bare = [name for name in names if isinstance(name, str) and not is_full_name(name)]
        if info.data.get("kind") is TargetKind.DATABASE:
            return tuple(f"server:{name}" if name in bare or _HOST_AND_PORT.fullmatch(name) else name for name in names)
        if bare:
            raise ValueError(f"kind:key is expected (node:NAME, server:HOST), not {bare[0]!r}")
        return within

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}"

    def part_of(self, kind: str) -> str:
        """The key of the innermost thing of that kind that it is within; empty where none is known."""
        return next((name.partition(":")[2] for name in self.within if name.startswith(f"{kind}:")), "")
