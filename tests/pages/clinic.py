"""A whole BytePort on real stores before a real PostgreSQL (and pgbouncer): what a signal really does to it.

Only time is made to pass: the ledger's clock is moved where an incident waits, and a `TimeLapse` makes every second of the
patient count as many, so that a session idle for two seconds has been idle for five minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from byteport.adapters.database_pool import KeptConnection
from byteport.adapters.pgbouncer import PgbouncerConsole, Pgbouncers, PgbouncerSettings, console_login
from byteport.adapters.pgbouncer_file import PoolerFile
from byteport.adapters.postgres import PostgresDatabases, acting_login, kept, reading_login
from byteport.adapters.postgres_sessions import PostgresSessions
from byteport.engine.engine import Engine
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.errors import Permanent
from byteport.grammar.story import Story
from byteport.grammar.verdict import Claim
from byteport.model.facts.database import ReplicaLag, Session, StateBreakdown, WaitEvents
from byteport.model.facts.deploys import DeployCorrelation, ErrorRate, Rollout
from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.incident import Incident, Phase
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests.patients import Patient
from tests.pooler import Pooler
from tests.ward.world import World

SLUG = RUNBOOK.name
SERVER = "db1"
KEY = f"{SERVER}/app"
TARGET = Target(kind=TargetKind.DATABASE, key=KEY, within=(SERVER,))
FACTOR = 150
"""300 s are 2 s, 10 min are 4 s."""


@dataclass
class TimeLapse:
    """The database's readers and writers with every age multiplied; it can also lag behind, as a test says."""

    database: PostgresDatabases
    ending: PostgresSessions
    lag: ReplicaLag | None = None
    frozen: dict[int, float] = field(default_factory=dict)

    def freeze(self) -> None:
        """From now on nobody who is idle in transaction gets older."""
        self.frozen = {s.pid: s.state_seconds for s in self.state_breakdown(KEY).idle_sessions}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)

    def state_breakdown(self, key: str) -> StateBreakdown:
        told = self.database.state_breakdown(key)
        older = tuple(self._older(session) for session in told.idle_sessions)
        ages = [session.state_seconds for session in older]
        standing = tuple(s.with_(sessions=sum(age >= s.seconds for age in ages)) for s in told.standing)
        return told.with_(idle_sessions=older, standing=standing)

    def wait_events(self, key: str) -> WaitEvents:
        told = self.database.wait_events(key)
        return told.with_(queries=tuple(self._older(session) for session in told.queries))

    def replica_lag(self, key: str) -> ReplicaLag:
        return self.lag or self.database.replica_lag(key)

    def end_idle(self, key: str, sessions: Any, idle_for: timedelta, spared: Any) -> Any:
        return self.ending.end_idle(key, sessions, idle_for / FACTOR, spared)

    def end_statement(self, *asked: Any) -> Any:
        return self.ending.end_statement(*asked)

    def cancel(self, *asked: Any) -> Any:
        return self.ending.cancel(*asked)

    def _older(self, session: Session) -> Session:
        age = self.frozen.get(session.pid, session.state_seconds * FACTOR)
        return session.with_(state_seconds=age, query_seconds=(session.query_seconds or 0) * FACTOR)


@dataclass
class SlowQueue:
    """The pooler with every wait multiplied."""

    poolers: Pgbouncers

    def __getattr__(self, name: str) -> Any:
        return getattr(self.poolers, name)

    def pools(self, key: str) -> Any:
        told = self.poolers.pools(key)
        if told is None:
            return None
        longer = (pool.with_(longest_wait_seconds=pool.longest_wait_seconds * FACTOR) for pool in told.pools)
        return told.with_(pools=tuple(longer))


@dataclass
class DeploySource:
    """A deploy source that behaves: a restart makes a new revision, once for each mark."""

    deploy: DeployCorrelation | None = None
    live: Rollout | None = None
    errors: ErrorRate | None = None
    restarts: list[str] = field(default_factory=list)

    def last_deploy(self, _database: str) -> DeployCorrelation | None:
        return self.deploy

    def app_pool_config(self, _database: str) -> None:
        return None

    def error_rate(self, _database: str) -> ErrorRate | None:
        return self.errors

    def rollout(self, workload: str) -> Rollout:
        if self.live is None:
            raise Permanent(f"{workload}: no such workload")
        return self.live

    def restart(self, workload: str, revision: str, mark: str) -> None:
        now = self.rollout(workload)
        if now.restarted_by == mark:
            return
        if now.revision != revision or now.replicas < 2:
            raise Permanent(f"{workload}: another revision by now, or a single replica")
        self.restarts.append(workload)
        self.live = now.with_(revision=f"{revision}r", restarted_by=mark, max_surge="0", max_unavailable="1")

    def restore_surge(self, workload: str, max_surge: str, max_unavailable: str) -> None:
        now = self.rollout(workload)
        if now.max_surge == "0":
            self.live = now.with_(max_surge=max_surge, max_unavailable=max_unavailable)


@dataclass(frozen=True)
class Ports:
    database: Any
    sessions: Any
    deploys: Any
    rollouts: Any
    pooler: Any


@dataclass
class Clinic(World):
    """`run` moves an incident until it rests; `open` signals that the patient's slots run out."""

    patient: Patient = field(kw_only=True)
    redis_url: str = field(kw_only=True)
    deploys: DeploySource = field(default_factory=DeploySource, kw_only=True)
    policy: Policy = field(default_factory=lambda: Policy(first_day_rate=1000, channels=("slack",)))
    reading: Ports = field(init=False)
    writing: Ports = field(init=False)
    closing: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        eyes = self.patient.role("eyes", member_of=("pg_monitor",))
        hand = self.patient.role("hand", member_of=("pg_monitor", "pg_signal_backend"))
        database = PostgresDatabases({KEY: kept(reading_login(KEY, eyes))})
        ending = PostgresSessions({KEY: kept(acting_login(KEY, hand))})
        assert (database.open(), ending.open()) == ({}, {})
        self.closing += [database.close, ending.close]
        self.lapse = TimeLapse(database, ending)
        self.reading = Ports(self.lapse, None, self.deploys, None, Pgbouncers({}))
        self.writing = Ports(None, self.lapse, None, self.deploys, PgbouncerSettings({}))

    def put_before(self, pooler: Pooler, *, opted_in: bool = True) -> None:
        """Let the patient have this pooler."""
        file = PoolerFile(pooler.ini) if opted_in else None
        consoles = {KEY: PgbouncerConsole(KeptConnection(console_login("the pooler", pooler.admin_url)), "app", file)}
        self.closing.append(consoles[KEY].console.close)
        self.reading = replace(self.reading, pooler=SlowQueue(Pgbouncers(consoles)))
        self.writing = replace(self.writing, pooler=PgbouncerSettings(consoles))

    def engine(self, driver: str = "") -> Engine:
        outbox = Outbox(self.ledger, {"slack": self.notebook, "journal": self.notebook})
        return Engine(
            self.ledger, self.budgets, self.reading, self.writing, Pages((RUNBOOK,)), self.policy, NoDoorbell(), outbox,
            driver=driver,
        )  # fmt: skip

    def open(self, runbook: str = SLUG, valve: str = KEY, mode: Mode = Mode.LIVE, **more: Any) -> str:
        if mode is not Mode.DRY_RUN:
            self.ledger.promote(runbook, mode, "test", "for the test")
        signal = Signal(
            name="db_pool_exhausted", source="test", fired_at=datetime.now(UTC), severity=Severity.CRITICAL,
            target=TARGET, **more,
        )  # fmt: skip
        admission = self.engine().take(signal)
        assert admission is not None
        return admission.incident

    def treat(self, **more: Any) -> Incident:
        """From the signal to where it rests."""
        return self.run(self.open(**more))

    def spend(self, key: str, limit: int, per: timedelta, amount: int) -> None:
        """As if another incident had used that much of a shared budget."""
        claim = Claim.window(key, limit=limit, per=per, amount=amount, guard="another")
        if not self.budgets.epoch():
            with self.ledger.begin_rebuild() as (epoch, spends):
                self.budgets.rebuild(epoch, spends)
        assert self.budgets.reserve(f"another {key}", (claim,)).granted

    def let_a_minute_pass(self) -> None:
        """For the budgets too: what Redis forgets it is told again by the ledger, whose clock was moved."""
        travel(self.url, 61)
        with redis.Redis.from_url(self.redis_url) as server:
            server.flushall()

    def decide(self, incident: str) -> Incident:
        """Up to the frozen plan, nothing done yet."""
        return self.run(incident, until=Phase.ACT, deliver=False)

    def refusals(self, incident: Incident | str) -> list[str]:
        """The guards that refused, in order."""
        return [verdict["guard"] for verdict in self.verdicts(incident if isinstance(incident, str) else incident.id)]

    def ended(self, incident: Incident) -> list[str]:
        """How each step that was begun ended."""
        return [f"{intent.move}: {intent.effect.note if intent.effect else intent.outcome}"
                for intent in self.ledger.intents_of(incident.id)]  # fmt: skip

    def page_fix(self, incident: Incident) -> str:
        """What the page recommends for good."""
        return str(RUNBOOK.escalate.fix(Story(evidence=None, diagnosis=incident.diagnosis)))  # type: ignore[arg-type,misc]

    def close(self) -> None:
        for close in self.closing:
            close()
