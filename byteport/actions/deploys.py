"""Restarting a workload without surge, and giving it its surge back."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from byteport.grammar.action import Action, Effect, Marked
from byteport.model.base import Json
from byteport.model.units import minutes
from byteport.ports import Readers, Writers

WORKLOAD = r"^[^/]+/[^/]+/[A-Za-z]+/[^/]+$"


class RolloutAction(Action):
    """What both have in common: one workload, as cluster/namespace/kind/name.

    Its subject is the name that the workload has as a target: kind:cluster/namespace/name.
    """

    idempotent: ClassVar = True

    workload: str = Field(pattern=WORKLOAD)

    @property
    def subject(self) -> str:
        cluster, namespace, kind, name = self._parts
        return f"{kind}:{cluster}/{namespace}/{name}"

    @property
    def write_scope(self) -> str:
        """The cluster that the workload is in."""
        return self._parts[0]

    @property
    def within(self) -> tuple[str, ...]:
        cluster, namespace, _, _ = self._parts
        return (f"namespace:{cluster}/{namespace}", f"cluster:{cluster}")

    @property
    def _parts(self) -> tuple[str, str, str, str]:
        """The kind as an API server's kind in small letters."""
        cluster, namespace, kind, name = self.workload.split("/")
        return cluster, namespace, kind.lower(), name


class RestartRollout(RolloutAction):
    """Restart every replica in turn, none on top: surge pods would open connections while slots are scarce.

    The template carries the intent's key afterwards, so a repeated order finds its own mark and does nothing.
    """

    verbs: ClassVar[tuple[str, ...]] = ("restart",)
    patience: ClassVar[timedelta] = minutes(2)

    revision: str

    def preview(self, readers: Readers) -> str:
        return f"restart {self.workload} with maxSurge 0"

    def look_before(self, readers: Readers) -> Json:
        return readers.deploys.rollout(self.workload).model_dump(mode="json")

    def holds(self, readers: Readers, intent: Marked) -> bool:
        return readers.deploys.rollout(self.workload).restarted_by == intent.key

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        writers.rollouts.restart(self.workload, self.revision, intent.key)
        return Effect(note=f"restarted {self.workload} with maxSurge 0", items=(self.workload,))


class RestoreSurge(RolloutAction):
    """Give the workload back the maxSurge and maxUnavailable that it had before the restart."""

    verbs: ClassVar[tuple[str, ...]] = ("patch",)

    max_surge: str
    max_unavailable: str

    def preview(self, readers: Readers) -> str:
        return f"maxSurge {self.max_surge}, maxUnavailable {self.max_unavailable} of {self.workload} again"

    def holds(self, readers: Readers, intent: Marked) -> bool:
        now = readers.deploys.rollout(self.workload)
        return (now.max_surge, now.max_unavailable) == (self.max_surge, self.max_unavailable)

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        writers.rollouts.restore_surge(self.workload, self.max_surge, self.max_unavailable)
        return Effect(note=f"maxSurge {self.max_surge} again", items=(self.workload,))
