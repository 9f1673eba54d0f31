"""Real worker processes on real stores, with a patient that has few connections."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import yaml
from psycopg import sql

from byteport import wiring
from byteport.adapters.ledger.migrations import migrate
from byteport.embedded.supervision import Kept, Member
from byteport.model.signal import Mode, Severity, Signal
from byteport.records.incident import Incident, Phase
from byteport.settings import Settings
from tests.patients import Patient
from tests.servers import eventually

RUNBOOK = "db_connection_pool_exhaustion"
ROOT = Path(__file__).parents[2]


def off_by(clock: str) -> dict[str, str]:
    """The environment of a process whose clocks are off by so much; lengths of time it measures rightly.

    Its monotonic clock must be moved with the other: left alone, libfaketime turns the absolute dates of `sleep` into
    ones that the kernel refuses. So nobody may be behind by more than the machine has been up.
    """
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return {"LD_PRELOAD": str(library), "FAKETIME": clock}


@dataclass
class Workshop:
    """Starts and kills workers; asks the ledger how it went. `world` is a process of its own: this test."""

    folder: Path
    environment: dict[str, str]
    world: wiring.Wired
    members: dict[str, Kept] = field(default_factory=dict)

    def start(self, *roles: str, clock: str = "") -> None:
        """Start these (probe, act, decide, beat); returns when each says that it is ready. `clock`: so far is the clock
        of their machine off (libfaketime's "+5m"), while time passes as it does."""
        for role in roles:
            log = self.folder / f"{role}.log"
            argv = (sys.executable, "-P", "-m", "workers", role)
            environment = {**self.environment, **(off_by(clock) if clock else {})}
            self.members[role] = Kept(Member(role, argv, environment, log, self.folder))
            log.write_text("")
            self.members[role].start()
        for role in roles:
            try:
                eventually(lambda role=role: self._is_ready(role), within=40)
            except AssertionError:
                raise AssertionError(f"{role} is not ready:\n{self.log(role)[-4000:]}") from None

    def _is_ready(self, role: str) -> bool:
        said = self.log(role)
        if role == "beat":
            return "is starting" in said
        return " ready." in said and said.count("connections_kept") >= (2 if role == "act" else 1)

    def log(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text()

    def children(self, role: str) -> list[psutil.Process]:
        """The processes that a prefork worker has forked."""
        pid = self.members[role].pid
        return psutil.Process(pid).children() if pid else []

    def kill(self, role: str) -> None:
        """SIGKILL, as the kernel does it when memory runs out."""
        pid = self.members[role].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", within=5)

    def stop(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(
                pool.map(lambda kept: kept.stop(((signal.SIGTERM, 20.0), (signal.SIGQUIT, 3.0))), self.members.values())
            )

    # -- the world ---------------------------------------------------------------------------------------------------
    def go_live(self) -> None:
        self.world.ledger.promote(RUNBOOK, Mode.LIVE, "test", "test")

    def signal(self, **changes: Any) -> str:
        """A signal as the poller gives it; the incident's id. Stored by this process and rung for at the broker."""
        target = self.world.settings.target_of("shop")
        admission = self.world.engine.take(
            Signal(
                name="db_pool_exhausted",
                source="test",
                target=target,
                fired_at=datetime.now(UTC),
                severity=Severity.CRITICAL,
                **changes,
            )
        )
        assert admission is not None
        return admission.incident

    def incident(self, incident_id: str) -> Incident:
        found = self.world.ledger.incident(incident_id)
        assert found is not None
        return found

    def until(self, incident_id: str, *phases: Phase, within: float = 20.0) -> Incident:
        """The incident when it has come to one of the phases; what it did until then, where it does not."""
        try:
            return eventually(lambda: (i := self.incident(incident_id)).phase in phases and i, within=within)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.story(incident_id)}") from None

    def until_event(self, incident_id: str, kind: str, within: float = 20.0) -> None:
        """Its journal has a line of that kind."""
        eventually(lambda: kind in self.kinds(incident_id), within=within)

    def story(self, incident_id: str) -> str:
        return "\n".join(f"{e.seq:3} {e.kind:10} {e.text}" for e in self.world.ledger.events(incident_id))

    def kinds(self, incident_id: str) -> list[str]:
        return [event.kind for event in self.world.ledger.events(incident_id)]


@contextmanager
def workshop(
    folder: Path, ledger_url: str, broker_url: str, patient: Patient, via: str = "", **more: Any
) -> Iterator[Workshop]:
    """A workshop whose patient is configured as `shop`; `via` is its address where something stands in between."""
    migrate(ledger_url)
    with psycopg.connect(
        ledger_url, autocommit=True
    ) as connection:  # the tests' server is a fleeting one; live needs more
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = on").format(name))
    probe, act = (
        patient.role("looker", member_of=("pg_monitor",)),
        patient.role("actor", member_of=("pg_monitor", "pg_signal_backend")),
    )
    reached = {url: url if not via else url.replace(str(patient.port), via) for url in (probe, act)}
    config = {
        "database_url": ledger_url,
        "broker_url": broker_url,
        "data_dir": str(folder),
        "databases": {"shop": {"url": reached[probe], "act_url": reached[act]}},
        "runbooks": {RUNBOOK: {"options": {"idle_in_tx_threshold_sec": 1}}},
        **more,
    }
    path = folder / "byteport.yaml"
    path.write_text(yaml.safe_dump(config))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BYTEPORT_")}
    environment = {**inherited, "BYTEPORT_CONFIG": str(path), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with wiring.build(Settings.load(environ=environment), role="cli", wakeups=_bells(broker_url)) as world:
        shop = Workshop(folder, environment, world)
        try:
            yield shop
        finally:
            shop.stop()


def _bells(broker_url: str) -> Any:
    from celery import Celery

    from workers.app import celery_settings
    from workers.wakeups import CeleryWakeups

    app = Celery("test", set_as_current=False)
    app.conf.update(celery_settings(Settings(broker_url=broker_url)))
    return CeleryWakeups(app)
