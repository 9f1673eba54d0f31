"""The composition root: the only place that picks adapters. Once per process.

A role decides which connections a process opens: `probe` looks (and polls), `act` looks and writes over one connection
a database, `drive` is one process that does both for one incident of its own. All others open none to a patient.
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import unquote

from byteport import plugins
from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.ledger import PostgresLedger
from byteport.adapters.no_deploy_source import NoDeploySource
from byteport.adapters.patients import Patient, Patients
from byteport.engine.engine import Engine
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.engine.polling import Polling
from byteport.engine.routing import Routing
from byteport.errors import BadConfiguration, Transient
from byteport.model.signal import Mode
from byteport.ourselves import own_keys
from byteport.ports import Readers, Writers
from byteport.ports_application import ApplicationMetrics, ErrorTracking, PastDiagnoses
from byteport.ports_database import Deploys, Rollouts
from byteport.ports_github import GitHubDispatching, GitHubReading
from byteport.ports_memory import MemoryHistories
from byteport.records.incident import Phase
from byteport.settings import Settings
from byteport.settings.database import address
from byteport.settings.pages import problems_with
from byteport.sources.database import DatabasePoller, PollRules
from byteport.sources.default_routes import default_routes
from byteport.sources.polling import AnyPoller
from byteport.wiring_application import errors_of, memory_history_of, metrics_of
from byteport.wiring_channels import channels_of
from byteport.wiring_github import github_of
from byteport.wiring_hosts import ActsOnHosts, LooksAtHosts, Ways
from byteport.wiring_policy import people_problems, policy_of
from byteport.wiring_pollers import pollers_of

Role = Literal["probe", "act", "decide", "web", "cli", "intake", "drive"]
LOOKING: tuple[Role, ...] = ("probe", "act", "drive")
ACTING: tuple[Role, ...] = ("act", "drive")


class NoDoorbell:
    """For a process that moves its incidents itself, or leaves the ringing to the sweeper."""

    def ring(self, incident_id: str, phase: Phase) -> None:
        """Nobody listens."""

    def ring_all(self, incident_ids: Sequence[str], phase: Phase) -> None:
        """Nobody listens."""

    def send_groups(self, incident_id: str, groups: Sequence[tuple[int, str]]) -> None:
        """Nobody listens."""


@dataclass(frozen=True)
class Looking(LooksAtHosts, plugins.WithOwnPorts):
    """`Readers` of this process."""

    patients: Patients
    deploys: Deploys
    github: GitHubReading
    errors: ErrorTracking
    metrics: ApplicationMetrics
    past: PastDiagnoses
    hosts: Ways
    memory_history: MemoryHistories

    @property
    def database(self) -> Any:
        return self.patients.database

    @property
    def pooler(self) -> Any:
        return self.patients.pooler


@dataclass(frozen=True)
class Acting(ActsOnHosts, plugins.WithOwnPorts):
    """`Writers` of this process."""

    patients: Patients
    rollouts: Rollouts
    github: GitHubDispatching
    hosts: Ways

    @property
    def sessions(self) -> Any:
        return self.patients.sessions

    @property
    def pooler(self) -> Any:
        return self.patients.pooler_settings


@dataclass(frozen=True)
class Wired:
    """Everything that one process works with. Close it to give its connections back."""

    settings: Settings
    role: Role
    ledger: PostgresLedger
    budgets: RedisBudgets
    readers: Readers
    writers: Writers
    pages: Pages
    found: plugins.Found
    policy: Policy
    engine: Engine
    patients: Patients
    hosts: Ways
    own: tuple[plugins.OwnPorts, ...] = ()

    @property
    def broken(self) -> tuple[plugins.Broken, ...]:
        """Pages that could not be loaded."""
        return self.found.broken

    def open(self) -> dict[str, Exception]:
        """Open the kept connections that this role has; the databases that could not be reached, and why."""
        return dict(self.patients.open())

    def preload(self) -> None:
        """Import what this configuration will need later, for who forks."""
        self.hosts.preload()

    def check_stores(self) -> None:
        """Raises Permanent for stores that forget: Redis that may evict, a ledger that answers before the disk has it.

        Only where something may act; a store that is out of reach denies by itself and is no reason not to start.
        """
        if self.policy.runbook_dry_run or self.policy.mode is Mode.DRY_RUN:
            return
        for check in (self.budgets.check, self.ledger.check_durable):
            with suppress(Transient):
                check()

    def register(self) -> None:
        """Tell the ledger where this process lives, so that BytePort never acts on itself. Renewed by heartbeats."""
        self.ledger.register_self(
            f"{socket.gethostname()}:{os.getpid()}:{self.role}", own_keys(self.settings), self.policy.configuration
        )

    @cached_property
    def routing(self) -> Routing:
        """From alerts to signals: people's routes, then the built-in ones."""
        return routing_of(self.settings, self.pages)

    @cached_property
    def databases(self) -> DatabasePoller | None:
        """Only the probing role has the connections it needs."""
        rules = self.settings.pollers.database
        if self.role != "probe" or not rules.enabled:
            return None
        targets = tuple(self.settings.target_of(name) for name in self.settings.databases)
        timed = PollRules(rules.threshold, rules.sustained, rules.period)
        look, digest = self.readers.database, self.policy.configuration
        return DatabasePoller(look, self.ledger, self.engine.take, targets, timed, digest)

    @cached_property
    def pollers(self) -> Mapping[str, AnyPoller]:
        """By name."""
        return {poller.name: poller for poller in pollers_of(self.settings, self.ledger, self.hosts.pool)}

    @property
    def polling(self) -> Polling:
        """Asks a poller, and takes in what it tells."""
        return Polling(self.ledger, self.routing, self.engine.take, self.policy.configuration)

    def close(self) -> None:
        """Give back every connection."""
        for own in self.own:
            own.close()
        self.hosts.close()
        self.patients.close()
        self.ledger.close()
        self.budgets.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def build(
    settings: Settings,
    role: Role = "cli",
    *,
    wakeups: Any = None,
    driver: str = "",
    deploys: Any = None,
    like: Wired | None = None,
) -> Wired:
    """Wire one process. Opens no connection by itself; `wakeups` by default are the fleet's, found by name. `like` was
    built of the same settings before this process was forked: the pages are its own, and no connection is."""
    found = like.found if like is not None else plugins.find(settings.pages_folder)
    pages = like.pages if like is not None else pages_of(settings, found)
    channels = channels_of(settings)
    if wrong := people_problems(settings, tuple(channels)):
        raise BadConfiguration(tuple(wrong))
    policy = policy_of(settings, tuple(channels))
    ledger = PostgresLedger(settings.ledger_dsn, storm_threshold=policy.storm_threshold)
    budgets = RedisBudgets(settings.budgets_dsn)
    patients = Patients(_patients(settings, role), acting=role in ACTING)
    source, own = deploys or NoDeploySource(), found.ports(looks=role in LOOKING, acts=role in ACTING)
    looks, acts = role in LOOKING, role in ACTING
    github, hosts = github_of(settings, looks=looks, acts=acts), Ways(settings, looks, acts)
    seen = (errors_of(settings, looks=looks), metrics_of(settings, looks=looks), ledger, hosts)
    remembered = memory_history_of(settings, ledger, looks=looks)
    readers: Readers = Looking(own[0], patients, source, github[0], *seen, remembered)
    writers: Writers = Acting(own[1], patients, source, github[1], hosts)
    bells = wakeups or (NoDoorbell() if role in ("drive", "intake") else _fleet_wakeups())
    outbox = Outbox(ledger, channels, policy.fallback_channel)
    engine = Engine(
        ledger, budgets, readers, writers, pages, policy, bells, outbox, driver=driver, has_hands=role in ACTING,
        has_eyes=role == "probe",
    )  # fmt: skip
    return Wired(
        settings, role, ledger, budgets, readers, writers, pages, found, policy, engine, patients, hosts, own
    )  # fmt: skip


def pages_of(settings: Settings, found: plugins.Found) -> Pages:
    """The runbooks as they are configured. Raises BadConfiguration with everything that is wrong about them."""
    if wrong := problems_with(settings, found.pages):
        raise BadConfiguration(tuple(wrong))
    return Pages(found.pages, _enabled(settings, found.pages), _order(settings))


def routing_of(settings: Settings, pages: Pages) -> Routing:
    """From alerts to signals: people's routes, then the built-in ones."""
    return Routing(pages, settings.routes, default_routes() if settings.default_routes else ())


def _fleet_wakeups() -> Any:
    """By name, since the library has never heard of Celery; without the fleet's package the sweeper rings."""
    try:
        return importlib.import_module("workers.wakeups").wakeups()
    except ModuleNotFoundError:
        return NoDoorbell()


def _enabled(settings: Settings, pages: Sequence[Any]) -> frozenset[str]:
    off = {name for name, section in settings.runbooks.items() if not section.enabled}
    return frozenset({page.name for page in pages} | set(settings.runbooks)) - off


def _order(settings: Settings) -> dict[str, int]:
    return {name: section.order for name, section in settings.runbooks.items() if section.order is not None}


def _patients(settings: Settings, role: Role) -> tuple[Patient, ...]:
    """The databases with the login of this role; none for a role that has no business there."""
    if role not in LOOKING:
        return ()
    acting = role in ACTING
    return tuple(
        Patient(
            key=section.key,
            dbname=unquote(address(section.in_clear("url") or "").path[1:]),
            url=(section.acting_url if acting else section.in_clear("url")) or "",
            pooler_url=section.pooler_acting_url if acting else section.in_clear("pooler_url"),
            pooler_ini=section.pooler_ini,  # whoever looks must know of the opt-in; only the acting role writes
        )
        for section in settings.databases.values()
    )
