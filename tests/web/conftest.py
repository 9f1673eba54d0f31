"""A real HTTP service on a real ledger, for each test its own."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.engine.intake import Intake
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.engine.routing import Routing
from byteport.records.incident import Phase
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK
from byteport.settings import Settings
from byteport.sources.default_routes import default_routes
from byteport.web.app import create
from tests.servers import eventually

TOKEN = "a-token-for-tests-only"
SECRET = "a-webhook-secret-for-tests"
SLUG = RUNBOOK.name
ROUTES = [
    {
        "name": "shop's database",
        "match": {"alertname": "DatabaseFull"},
        "signal": "db_pool_exhausted",
        "target": {"kind": "database", "key": "{instance|server}/{datname}", "within": ["server:{instance|server}"]},
        "labels": {"team": "{team:-unknown}"},
    }
]


class NoDoorbell:
    """Nobody listens; nothing moves by itself in these tests."""

    def ring(self, incident_id: str, phase: Phase) -> None:
        """Heard by nobody."""

    def ring_all(self, incident_ids: Sequence[str], phase: Phase) -> None:
        """Heard by nobody."""

    def send_groups(self, incident_id: str, groups: Any) -> None:
        """Heard by nobody."""


@dataclass(frozen=True)
class StandingWorld:
    """What the service is given: the real ledger, the real intake, the real page."""

    settings: Settings
    ledger: PostgresLedger
    pages: Pages = field(default_factory=lambda: Pages((RUNBOOK,)))
    policy: Policy = field(default_factory=Policy)

    @property
    def routing(self) -> Routing:
        return Routing(self.pages, self.settings.routes, default_routes())

    @property
    def engine(self) -> Intake:
        return Intake(self.ledger, NoDoorbell(), self.pages, self.policy)


@dataclass(frozen=True)
class Service:
    """The running service, and clients of it."""

    url: str
    world: StandingWorld

    def anybody(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20)

    def program(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, headers={"Authorization": f"Bearer {TOKEN}"})

    @contextmanager
    def person(self, who: str = "Ada") -> Iterator[httpx.Client]:
        """A browser that has logged in."""
        with self.anybody() as client:
            answer = client.post("/login", data={"token": TOKEN, "who": who, "next": "/"})
            assert answer.status_code == 303, answer.text
            yield client


def form_token(html: str) -> str:
    """The proof that a form was given out to this session."""
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', html)
    assert found is not None, html
    return found[1]


@contextmanager
def serving(world: Any) -> Iterator[Service]:
    """Serve the world on a free port until the block ends."""
    server = uvicorn.Server(uvicorn.Config(create(world), host="127.0.0.1", port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started, within=20)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Service(f"http://127.0.0.1:{port}", world)
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def standing(ledger_url: str, tmp_path) -> Iterator[StandingWorld]:
    migrate(ledger_url)
    settings = Settings.model_validate(
        {
            "database_url": ledger_url,
            "data_dir": tmp_path,
            "web": {"token": TOKEN},
            "webhooks": {"generic": {"secret": SECRET}, "alertmanager": {"secret": SECRET}},
            "routes": ROUTES,
        }
    )
    ledger = PostgresLedger(ledger_url)
    yield StandingWorld(settings, ledger)
    ledger.close()


@pytest.fixture
def service(standing: StandingWorld) -> Iterator[Service]:
    with serving(standing) as running:
        yield running


@pytest.fixture
def signal() -> dict[str, Any]:
    """A signal as a program sends it."""
    return {
        "name": "db_pool_exhausted",
        "source": "prometheus",
        "target": {"kind": "database", "key": "db1/shop", "within": ["db1"]},
        "fired_at": "2026-11-23T10:00:00+00:00",
        "severity": "critical",
        "value": 0.95,
        "summary": "95 % of the usable connections are in use",
    }
