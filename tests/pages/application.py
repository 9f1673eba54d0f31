"""A whole BytePort on real stores before a Sentry of the test's own, with a command host whose service manager behaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import redis

from byteport.adapters.sentry import Sentry as SentryReader
from byteport.engine.engine import Engine
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.engine.routing import signal_by
from byteport.errors import Denied, Permanent
from byteport.grammar.diagnosis import Diagnosis
from byteport.grammar.runbook import Runbook
from byteport.grammar.verdict import Claim
from byteport.model.alert import Alert
from byteport.model.facts.application import Upstreams, WorkloadScale
from byteport.model.facts.hosts import UnitState
from byteport.model.signal import Mode, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.incident import Incident
from byteport.runbooks.application.application_error import RUNBOOK
from byteport.sources.default_routes import default_routes
from byteport.stores_signals import Opening
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests.sentry_server import ORG, PROJECT, TOKEN, Sentry
from tests.ward.world import World

SLUG = RUNBOOK.name
HOST, DEPLOYMENT = "ops1", "prod/shop/api"
ROLLBACK = ["/usr/local/bin/helm", "rollback", "api", "41", "-n", "shop"]
SCALE_UP = ["/usr/bin/kubectl", "scale", "deployment", "api", "-n", "shop", "--replicas=6"]
ENABLED = {
    "project": PROJECT, "commandHost": HOST, "deployment": DEPLOYMENT, "rollbackEnabled": True,
    "rollbackCommand": ROLLBACK, "rollbackRevision": "41", "rollbackFromRelease": "shop@2.0.0",
    "scaleUpEnabled": True, "scaleUpCommand": SCALE_UP, "database": "db1/shop",
}  # fmt: skip


@dataclass
class ServiceManager:
    """Starts a name once, as systemd does; `ends` is how its commands end (None: they run on), `does` what they do."""

    units: dict[str, UnitState] = field(default_factory=dict)
    started: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    ends: tuple[str, str, int] | None = ("active", "success", 0)
    does: Callable[[], None] = lambda: None
    loses_answers: bool = False
    host: str = HOST
    within: int = 120

    def unit(self, host: str, name: str) -> UnitState | None:
        if host != self.host:
            raise Denied(f"{host} is none of the configuration's hosts")
        return self.units.get(name)

    def start(
        self, host: str, name: str, argv: Sequence[str], environment: Mapping[str, str], timeout: timedelta
    ) -> None:
        if self.unit(host, name) is not None:
            raise Permanent(f"{name} was already loaded")
        assert timeout == timedelta(seconds=self.within)
        self.started.append((name, tuple(argv)))
        self.environments.append(dict(environment))
        active, result, status = self.ends or ("activating", "success", 0)
        over = "exited" if active == "active" else active
        self.units[name] = UnitState(name=name, active=active, sub=over, result=result, status=status)
        self.does()
        if self.loses_answers:
            raise ConnectionResetError("the answer is lost")


@dataclass
class Metrics:
    """As a Prometheus would answer."""

    known: Upstreams | None = None
    workload: WorkloadScale | None = field(default_factory=lambda: WorkloadScale(workload=DEPLOYMENT, replicas=3))

    def upstreams(self, _breakers: str, _latencies: str) -> Upstreams | None:
        return self.known

    def scale(self, workload: str) -> WorkloadScale | None:
        assert workload == DEPLOYMENT
        return self.workload


@dataclass
class Desk(World):
    """`take` signals the issue as the poller would, `treat` moves it until it rests."""

    sentry: Sentry = field(kw_only=True)
    manager: ServiceManager = field(default_factory=ServiceManager)
    metrics: Metrics = field(default_factory=Metrics)
    policy: Policy = field(
        default_factory=lambda: Policy(
            first_day_rate=1000, channels=("slack", "postmark", "github_issue"), options={SLUG: ENABLED}
        )
    )
    pages: Sequence[Runbook] = (RUNBOOK,)

    def engine(self, driver: str = "") -> Engine:
        names = ("slack", "postmark", "github_issue", "journal")
        outbox = Outbox(self.ledger, dict.fromkeys(names, self.notebook))
        reader = SentryReader.at(ORG, TOKEN, self.sentry.http.url, timedelta(seconds=5))
        looks: Any = SimpleNamespace(errors=reader, metrics=self.metrics, past=self.ledger, units=self.manager)
        acts: Any = SimpleNamespace(units=self.manager)
        return Engine(
            self.ledger, self.budgets, looks, acts, Pages(tuple(self.pages)), self.policy, NoDoorbell(), outbox,
            driver=driver,
        )  # fmt: skip

    def options(self, **more: Any) -> None:
        self.policy = replace(self.policy, options={SLUG: {**self.policy.options.get(SLUG, {}), **more}})

    def correlated(self) -> None:
        """A deploy ten minutes ago, errors since five, and a rollback that ends them."""
        self.sentry.deploy("shop@1.9.9", 3000)
        self.sentry.deploy("shop@2.0.0", 10)
        self.manager.does = self.calm

    def calm(self) -> None:
        self.sentry.now_rate = self.sentry.usual

    def signal(self, **labels: str) -> Any:
        told = {"org": ORG, "project": PROJECT, "issue_id": self.sentry.issue_id, **labels}
        alert = Alert(source="sentry-poller", name="sentry_spike", fired_at=self.sentry.now, labels=told, condition="c")
        route = next(route for route in default_routes() if not route.why_not(alert))
        return signal_by(route, alert)

    def take(self, mode: Mode = Mode.LIVE, **labels: str) -> str:
        if mode is not Mode.DRY_RUN:
            self.ledger.promote(SLUG, mode, "test", "for the test")
        admission = self.engine().take(self.signal(**labels))
        assert admission is not None
        return admission.incident

    def treat(self, mode: Mode = Mode.LIVE, **labels: str) -> Incident:
        return self.run(self.take(mode, **labels), most=400)

    def minutes_pass(self, minutes: float) -> None:
        """For the ledger and for Sentry, whose deploys and issues stay where they were."""
        travel(self.url, minutes * 60)
        self.sentry.first_seen = self.sentry.first_seen or self.sentry.minutes_ago(5)
        self.sentry.now += timedelta(minutes=minutes)

    def an_hour_passes(self) -> None:
        """For the budgets too: what Redis forgets it is told again by the ledger, whose clock was moved."""
        self.minutes_pass(61)
        with redis.Redis.from_url(self.redis_url) as server:
            server.flushall()

    def spend(self, key: str, limit: int) -> None:
        """As if another runbook had used that much of a shared budget."""
        claim = Claim.window(key, limit=limit, per=timedelta(hours=1), amount=limit, guard="another")
        if not self.budgets.epoch():
            with self.ledger.begin_rebuild() as (epoch, spends):
                self.budgets.rebuild(epoch, spends)
        assert self.budgets.reserve(f"another {key}", (claim,)).granted

    def remember(self, runbook: str, name: str, within: str) -> None:
        """An earlier incident of another runbook that found this out about a pod of that."""
        told = Signal(
            name="pod_oom_killed", source="test", fired_at=self.sentry.now,
            target=Target(kind=TargetKind.POD, key="prod/shop/api-1", within=(within,)),
        )  # fmt: skip
        opened = self.ledger.admit(Opening(signal=told, runbook=runbook, page="p", mode=Mode.DRY_RUN)).incident
        found = Diagnosis(name=name, disposition="escalate", confidence=85, because="as the test says", considered=())
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "update byteport.incidents set state = jsonb_set(state, '{diagnosis}', %s::jsonb) where id = %s",
                [found.model_dump_json(), opened],
            )

    def refusals(self, incident: Incident) -> list[str]:
        return [verdict["guard"] for verdict in self.verdicts(incident.id)]
