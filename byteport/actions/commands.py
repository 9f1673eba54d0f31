"""Running a command of the operator's on a Deployment."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from byteport.grammar.action import Action, Effect, Marked
from byteport.model.base import Json
from byteport.model.units import minutes, seconds
from byteport.ports import Readers, Writers

WORKLOAD = r"^[^/\s]+/[^/\s]+/[^/\s]+$"
RUNS_FOR = seconds(120)
Word = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]


class RunCommand(Action):
    """Run the operator's command for a Deployment, detached, under a name made of the intent. Its words stand in the
    configuration and nothing is put into them. The host's service manager starts no name twice, and BytePort sends it
    once: what became of it is read from the unit."""

    idempotent: ClassVar[bool] = False
    verbs: ClassVar[tuple[str, ...]] = ("run",)
    patience: ClassVar[timedelta] = RUNS_FOR + minutes(1)

    what: Literal["rollback", "scale_up"]
    host: str = Field(min_length=1, max_length=253)
    argv: tuple[Word, ...] = Field(min_length=1, max_length=64)
    environment: dict[str, Word] = Field(default_factory=dict, max_length=32)
    deployment: str = Field(pattern=WORKLOAD)
    project: str = Field(min_length=1, max_length=100)

    @property
    def subject(self) -> str:
        return f"deployment:{self.deployment}"

    @property
    def write_scope(self) -> str:
        """The cluster that the Deployment is in."""
        return self.deployment.split("/")[0]

    @property
    def within(self) -> tuple[str, ...]:
        cluster, namespace, _ = self.deployment.split("/")
        return (f"namespace:{cluster}/{namespace}", f"cluster:{cluster}")

    def preview(self, readers: Readers) -> str:
        return f"run on {self.host}, to {self.what.replace('_', ' ')} {self.deployment}: {' '.join(self.argv)}"

    def look_before(self, readers: Readers) -> Json:
        """A host that cannot be asked now raises, and nothing begins."""
        found = readers.units.unit(self.host, "byteport-probe")
        return {"host": self.host, "manager": "answers" if found is None else str(found)}

    def holds(self, readers: Readers, intent: Marked) -> bool:
        found = readers.units.unit(self.host, unit_of(intent))
        return found is not None and found.went_well

    def failed(self, readers: Readers, intent: Marked) -> str:
        found = readers.units.unit(self.host, unit_of(intent))
        return str(found) if found is not None and found.is_over and not found.went_well else ""

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        name = unit_of(intent)
        writers.units.start(self.host, name, self.argv, self.environment, RUNS_FOR)
        return Effect(note=f"started {name} on {self.host}", items=(name,))


def unit_of(intent: Marked) -> str:
    """The name of the transient unit: one for each intent."""
    return f"byteport-{sha256(intent.key.encode()).hexdigest()[:24]}"
