"""The broker is gone for minutes: escalations and messages still leave, nothing is written, and then all goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.adapters.redis_client import Door
from byteport.engine.standby import PATIENCE, Standby
from byteport.errors import Transient
from byteport.model.signal import Mode, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.delivery import Delivery, Receipt
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.servers import OwnRedis, eventually
from tests.ward import pages
from tests.ward.patient import Ward
from tests.ward.world import Notebook, PowerCut, World, race

SLUG = "db_connection_pool_exhaustion"


@dataclass
class Hours:
    """A process's own clock, set by the test."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Scene:
    """A world whose budgets and broker are one Redis that may be taken down, and a web process's standby."""

    world: World
    redis: OwnRedis
    hours: Hours = field(default_factory=Hours)

    def standby(self) -> Standby:
        return Standby(self.world.engine(), Door(self.redis.url).answers, clock=self.hours)

    def stand_in(self, standby: Standby, minutes: int = 3) -> None:
        """The broker is away for so long; the ledger's clock passes too."""
        for _ in range(minutes * 6):
            standby.once()
            self.hours.seconds += 10
            travel(self.world.url, 10)


@pytest.fixture
def scene(ledger_url: str, own_redis: Callable[..., OwnRedis]) -> Iterator[Scene]:
    migrate(ledger_url)
    redis = own_redis()
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis.url, patience=timedelta(seconds=0.5))
    ward = Ward(ledger_url)
    ward.prepare()
    yield Scene(World(ledger, budgets, ward, ledger_url, redis.url), redis)
    ledger.close()
    budgets.close()


def about_to_escalate(scene: Scene, valve: str = "v1") -> str:
    """An incident that has decided to tell people, and has told nobody yet."""
    scene.world.ward.prepare(valve, stuck=True)
    incident = scene.world.open("ward_one", valve)
    scene.world.run(incident, until=Phase.ESCALATE, deliver=False)
    assert scene.world.now(incident).escalated_at is None
    return incident


def test_after_a_minute_without_the_broker_escalations_and_messages_leave(scene: Scene) -> None:
    incident = about_to_escalate(scene)
    scene.redis.stop()
    standby = scene.standby()
    assert PATIENCE.total_seconds() == 60
    for passed in (0, 30, 29):
        scene.hours.seconds += passed
        assert standby.once() == 0
    assert scene.world.notebook.sent == []
    scene.hours.seconds += 1
    assert standby.once() == 2
    assert [d.message.kind for d in scene.world.notebook.sent] == ["escalation"]
    assert scene.world.now(incident).escalated_at is not None


def test_while_the_broker_answers_the_web_process_moves_nothing(scene: Scene) -> None:
    incident = about_to_escalate(scene)
    standby = scene.standby()
    scene.stand_in(standby)
    assert scene.world.notebook.sent == []
    assert scene.world.now(incident).escalated_at is None


def test_a_broker_that_comes_back_within_the_minute_starts_the_minute_anew(scene: Scene) -> None:
    about_to_escalate(scene)
    standby = scene.standby()
    scene.redis.stop()
    standby.once()
    scene.hours.seconds += 59
    scene.redis.restart()
    assert standby.once() == 0
    scene.redis.stop()
    scene.hours.seconds += 59
    assert standby.once() == 0
    assert scene.world.notebook.sent == []


def test_a_broker_that_has_no_room_for_a_message_is_gone(scene: Scene) -> None:
    door = Door(scene.redis.url)
    assert door.answers()
    scene.world.budgets._client.config_set("maxmemory", "1kb")
    assert not door.answers()
    scene.world.budgets._client.config_set("maxmemory", 0)
    assert door.answers()
    assert scene.world.budgets._client.dbsize() == 0, "asking has left nothing behind"


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.CLASSIFY, Phase.PLAN, Phase.ACT, Phase.VERIFY])
def test_without_the_broker_nothing_is_written_and_no_other_phase_is_moved(scene: Scene, phase: Phase) -> None:
    incident = scene.world.open("ward_one")
    if phase is not Phase.OPEN:
        scene.world.run(incident, until=phase)
    before, effects = scene.world.now(incident), scene.world.ward.effects()
    scene.redis.stop()
    scene.stand_in(scene.standby())
    after = scene.world.now(incident)
    assert (after.phase, after.version) == (phase, before.version)
    assert scene.world.ward.effects() == effects
    scene.redis.restart()
    assert scene.world.run(incident).ending == "resolved"  # when the broker is back, all goes on
    assert len(scene.world.ward.effects()) == 1
    assert scene.world.ward.doubled() == []


def test_what_was_begun_is_told_at_once_and_settled_only_by_whoever_has_hands(scene: Scene) -> None:
    world = scene.world
    incident = begun_and_escalated(scene)
    done = world.ward.effects()
    scene.redis.stop()
    scene.stand_in(scene.standby())
    assert world.ward.effects() == done
    assert world.ledger.intents_of(incident)[0].outcome is None
    (message,) = world.notebook.sent
    assert "not settled yet" in message.message.text
    scene.redis.restart()
    ended = world.run(incident)
    assert world.ledger.intents_of(incident)[0].outcome is not None
    assert [d.message.kind for d in world.notebook.sent] == ["escalation", "escalation"], "and then the whole story"
    assert "not settled yet" not in ended.reason
    assert world.ward.doubled() == []


class Fatal(Ward):
    """Whoever changes a valve dies of it before hearing the answer."""

    def change(self, name: str, kind: str, intent: str, to: int | None, was: int | None) -> None:
        super().change(name, kind, intent, to, was)
        raise PowerCut


def begun_and_escalated(scene: Scene) -> str:
    """A worker died in the middle of an effect, and the page that decided it is nobody's any more."""
    world = scene.world
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    ward, world.ward = world.ward, Fatal(world.ward.url)
    with pytest.raises(PowerCut):
        world.run(incident)
    world.ward = ward
    newer = pages.page("ward_one", pages.one, confidence_floor=75)
    world.pages = (newer, *pages.ALL[1:])
    travel(world.url, 120)
    world.engine().tend()
    found = world.now(incident)
    assert (found.phase, found.page, found.escalated_at) == (Phase.ESCALATE, newer.digest, None)
    return incident


class Sulking(Notebook):
    """A channel that takes its first message only at the second asking."""

    def send(self, delivery: Delivery) -> Receipt:
        if delivery.tries < 2:
            raise Transient("later")
        return super().send(delivery)


def test_a_message_that_waits_for_its_channel_leaves_without_the_broker(scene: Scene) -> None:
    scene.world.notebook = Sulking()
    scene.world.run(about_to_escalate(scene))
    assert scene.world.notebook.sent == []
    scene.redis.stop()
    scene.stand_in(scene.standby())
    assert [d.message.kind for d in scene.world.notebook.sent] == ["escalation"]


def test_of_many_web_processes_one_at_a_time_stands_in_and_nobody_is_told_twice(scene: Scene) -> None:
    incidents = [about_to_escalate(scene, f"v{n}") for n in range(4)]
    scene.redis.stop()
    standbys = [scene.standby() for _ in range(4)]
    for standby in standbys:
        standby.once()
    scene.hours.seconds += 61
    with scene.world.ledger.alone("standby") as ours:
        assert ours
        assert [standby.once() for standby in standbys] == [0, 0, 0, 0]
    for _ in range(3):
        race([standby.once for standby in standbys])
        travel(scene.world.url, 11)
    assert sorted(d.incident for d in scene.world.notebook.sent) == sorted(incidents)


def test_the_web_process_itself_stands_in(scene: Scene, tmp_path: Path, free_port: int, ledger_url: str) -> None:
    """The real process, the real minute: people hear of an incident although no broker and no worker is there."""
    ledger = scene.world.ledger
    config = {"web": {"port": free_port, "token": "a-token-for-tests-only"}, "data_dir": str(tmp_path)}
    (tmp_path / "byteport.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BYTEPORT_")},
        "PYTHONPATH": str(Path(__file__).parents[2]), "BYTEPORT_CONFIG": str(tmp_path / "byteport.yaml"),
        "BYTEPORT_DATABASE_URL": ledger_url, "BYTEPORT_BROKER_URL": scene.redis.url,
    }  # fmt: skip
    scene.redis.stop()
    incident = unclassified(scene)
    web = subprocess.Popen(
        [sys.executable, "-m", "byteport.web"], env=environ, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        eventually(lambda: ledger.deliveries_of(incident), within=110, every=1)
        eventually(lambda: all(d.state == "sent" for d in ledger.deliveries_of(incident)), within=20, every=0.2)
        assert list((tmp_path / "messages").iterdir())
        assert web.poll() is None
    finally:
        web.send_signal(signal.SIGTERM)
        web.wait(20)


def unclassified(scene: Scene) -> str:
    """An incident of the shipped page that is about to escalate: its database never answered."""
    from byteport import plugins
    from byteport.engine.engine import Engine
    from byteport.engine.pages import Pages

    world: Any = scene.world
    engine: Engine = world.engine()
    shipped = Engine(
        engine.ledger, engine.budgets, engine.readers, engine.writers, Pages(plugins.find(None).pages), engine.policy,
        engine.wakeups, engine.outbox, has_hands=False,
    )  # fmt: skip
    told = Signal(
        name="db_pool_exhausted", source="test", fired_at="2026-11-23T10:00:00+00:00", severity="critical",
        target=Target(kind=TargetKind.DATABASE, key="db1/shop", within=("db1",)),
    )  # fmt: skip
    admission = shipped.take(told)
    assert admission is not None
    while world.now(admission.incident).phase is not Phase.ESCALATE:
        for n, group in shipped.groups_to_send(admission.incident):
            shipped.look(admission.incident, n, group)
        shipped.move(admission.incident)
        travel(world.url, 5)
    assert world.now(admission.incident).mode is Mode.DRY_RUN
    return admission.incident
