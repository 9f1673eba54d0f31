"""What BytePort asks of the outside: readers look, writers change. Adapters promise what stands here.

Probes are given `Readers`, which cannot write by type. Only the gate holds `Writers`.
"""

from __future__ import annotations

from typing import Protocol

from byteport.ports_application import ApplicationMetrics, ErrorTracking, PastDiagnoses
from byteport.ports_database import Database, DatabaseSessions, Deploys, Pooler, PoolerSettings, Rollouts
from byteport.ports_github import GitHubDispatching, GitHubReading
from byteport.ports_hosts import HostInventories, HostUnits, HostUnitsStarting
from byteport.ports_processes import HostProcesses, SystemUnits, SystemUnitsChanging


class Readers(Protocol):
    """Read-only ports. A source that is not configured answers None from its methods; it does not raise."""

    @property
    def database(self) -> Database: ...
    @property
    def pooler(self) -> Pooler: ...
    @property
    def deploys(self) -> Deploys: ...
    @property
    def github(self) -> GitHubReading: ...
    @property
    def errors(self) -> ErrorTracking: ...
    @property
    def metrics(self) -> ApplicationMetrics: ...
    @property
    def past(self) -> PastDiagnoses: ...
    @property
    def units(self) -> HostUnits: ...
    @property
    def inventories(self) -> HostInventories: ...
    @property
    def processes(self) -> HostProcesses: ...
    @property
    def system_units(self) -> SystemUnits: ...


class Writers(Protocol):
    """The mutating ports; each raises Transient or Permanent and is bounded by its action's time-out."""

    @property
    def sessions(self) -> DatabaseSessions: ...
    @property
    def pooler(self) -> PoolerSettings: ...
    @property
    def rollouts(self) -> Rollouts: ...
    @property
    def github(self) -> GitHubDispatching: ...
    @property
    def units(self) -> HostUnitsStarting: ...
    @property
    def system_units(self) -> SystemUnitsChanging: ...
