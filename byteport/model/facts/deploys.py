"""What a deploy source can tell us; `None` in their place means that none is configured."""

from __future__ import annotations

from pydantic import Field

from byteport.model.base import Value


class DeployCorrelation(Value):
    """The last deploy of a workload that uses the target. `workload` is cluster/namespace/kind/name.

    `applications` are the application_names that its sessions carry; empty where that is not known.
    `rollback_live`: a rollback runbook acts for this workload, so that BytePort has a better answer than a restart.
    """

    sha: str
    workload: str = Field(min_length=1)
    age_seconds: float = Field(ge=0)
    replicas: int = Field(ge=0)
    max_surge: str = "25%"
    max_unavailable: str = "25%"
    revision: str = ""
    applications: tuple[str, ...] = ()
    rollback_live: bool = False


class ErrorRate(Value):
    """Failed requests as a fraction, now and as the median of the same hour over the last seven days."""

    now: float = Field(ge=0)
    usual: float = Field(ge=0)


class Rollout(Value):
    """How a workload's rollout stands; `restarted_by` is the mark that the last restart left in its template."""

    revision: str
    replicas: int
    ready: int
    updated: int
    max_surge: str
    max_unavailable: str
    restarted_by: str = ""

    @property
    def settled(self) -> bool:
        """Every replica is of the newest revision and ready."""
        return self.replicas > 0 and self.ready >= self.replicas and self.updated >= self.replicas
