"""One place with everything that a campaign needs: servers, configuration, fleet, source; and how it was set up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from celery import Celery

from byteport import wiring
from byteport.adapters.ledger.migrations import migrate
from byteport.embedded import free_port
from byteport.model.signal import Mode
from byteport.model.target import Target, TargetKind
from byteport.settings import Settings
from tests.channels.slack_server import CHANNEL, TOKEN
from tests.chaos import dice, shapes
from tests.chaos.eyes import Eyes
from tests.chaos.fleet import Fleet
from tests.chaos.patient import ADDRESS, Patient
from tests.chaos.source import Source
from tests.chaos.stores import Stores, serving
from workers.app import celery_settings
from workers.wakeups import CeleryWakeups

ROOT = Path(__file__).parents[2]
SECRET = "only-for-the-campaign-0123456789"
IN_FLIGHT = 48
# The three limits that are policy, raised so that many incidents are under way at once; nothing else is changed.
POLICY = {"storm_threshold": 10_000, "max_concurrent_remediations": 1000, "first_day_rate": 1000}
SHY = "ward_shy"


@dataclass
class Site:
    """Everything at hand. `world` reaches the ledger past the doors."""

    folder: Path
    stores: Stores
    fleet: Fleet
    eyes: Eyes
    source: Source
    world: wiring.Wired
    bells: CeleryWakeups

    @property
    def journal(self) -> Path:
        return self.folder / "messages"


@contextmanager
def site(folder: Path, seed: int, known: int, sent: int = 0) -> Iterator[Site]:
    """Servers on the folder's data, the ledger migrated, the pages promoted, `known` valves in the inventory."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        stores = undo.enter_context(serving(folder))
        port = free_port()
        environment = _environment(folder, stores, port)
        migrate(stores.ledger.url)
        direct = Settings.load(environ={**environment, "BYTEPORT_DATABASE_URL": stores.ledger.url})
        bells = _bells(stores.redis.url)
        world = undo.enter_context(wiring.build(direct, role="cli", wakeups=bells))
        _furnish(world, Patient(stores.patient_url), dice.valves(seed, known))
        eyes = Eyes(stores.ledger.superuser_url, stores.patient.superuser_url)
        undo.callback(eyes.close)
        fleet = Fleet(folder, environment)
        undo.callback(fleet.stop)
        looking = Eyes(stores.ledger.superuser_url, stores.patient.superuser_url)
        undo.callback(looking.close)
        source = Source(
            f"http://127.0.0.1:{port}/webhooks/generic", SECRET, seed, folder / "signals.jsonl",
            lambda: len(looking.in_flight()) < IN_FLIGHT, Patient(stores.patient_url).relapse, sent,
        )  # fmt: skip
        undo.callback(source.finish)
        yield Site(folder, stores, fleet, eyes, source, world, bells)


def _furnish(world: wiring.Wired, patient: Patient, valves: list[str]) -> None:
    patient.prepare(valves)
    for valve in valves:
        world.ledger.see_target(Target(kind=TargetKind.SERVICE, key=valve))
    for name in shapes.ALL:
        if name != SHY:
            world.ledger.promote(name, Mode.LIVE, "campaign", "the campaign acts")


def _environment(folder: Path, stores: Stores, port: int) -> dict[str, str]:
    """The fleet reaches every server through its door."""
    doors = stores.doors
    pages = folder / "pages"
    pages.mkdir(exist_ok=True)
    for name in shapes.ALL:
        (pages / f"{name}.py").write_text(
            f"from tests.chaos.shapes import ALL, READERS, WRITERS\n\nRUNBOOK = ALL[{name!r}]\n", encoding="utf-8"
        )
    config: dict[str, Any] = {
        "database_url": doors["ledger"].through(stores.ledger.url),
        "broker_url": doors["redis"].through(stores.redis.url),
        "data_dir": str(folder),
        "pages_folder": str(pages),
        "policy": POLICY,
        "pollers": {"database": {"enabled": False}},
        "web": {"port": port, "token": SECRET},
        "webhooks": {"generic": {"secret": SECRET}},
        "channels": {
            "slack": {"token": TOKEN, "channel": CHANNEL, "api_url": f"http://127.0.0.1:{doors['channel'].port}/api/"}
        },
    }
    path = folder / "byteport.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BYTEPORT_")}
    return {
        **inherited, "BYTEPORT_CONFIG": str(path), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1",
        ADDRESS: doors["patient"].through(stores.patient_url),
    }  # fmt: skip


def _bells(broker: str) -> CeleryWakeups:
    app = Celery("chaos", set_as_current=False)
    app.conf.update(celery_settings(Settings(broker_url=broker)))
    return CeleryWakeups(app)
