"""What is sick, and how to reach it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from byteport.model.base import Value

Key = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, StringConstraints(max_length=2048, pattern=r"^[^\x00]*$")]


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
    """What is acted on. `within` names what it is part of (a database: its server), innermost first.

    `coordinates` say how to reach it by the names of the configuration; they never hold a secret.
    """

    kind: TargetKind
    key: Key
    within: tuple[Key, ...] = ()
    coordinates: dict[Key, Text] = Field(default_factory=dict, max_length=32)

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}"
