"""Inaction of a real fleet: the patient's sessions are watched for so many seconds while one thing stands in the way.

Each has its twin in the same test: that one thing is taken away, and within the same seconds the sessions are ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic

import psycopg
import pytest
from psycopg import sql

from byteport.embedded import EmbeddedRedis, RunningPostgres
from byteport.errors import Unavailable
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.records.standing import NewVeto
from byteport.testing.time_travel import travel
from tests.crowd import Crowd
from tests.patients import Patient, Patients
from tests.proxy import TcpProxy
from tests.servers import Databases, OwnRedis, eventually
from tests.workers.workshop import RUNBOOK, Workshop, workshop

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
WATCHED = 10.0  # seconds; the whole way from a signal to an ended session takes about one
COOLDOWN = timedelta(minutes=11).total_seconds()
STANDING_IN_THE_WAY = {
    "a pause": (
        lambda scene: scene.ledger.pause("", "change freeze", "ada"),
        lambda scene: scene.ledger.resume("", "ada"),
    ),
    "dry run": (
        lambda scene: scene.ledger.promote(RUNBOOK, Mode.DRY_RUN, "ada", "back to watching"),
        lambda scene: scene.ledger.promote(RUNBOOK, Mode.LIVE, "ada", "reviewed"),
    ),
    "a silence": (
        lambda scene: scene.ledger.silence({"runbook": RUNBOOK}, timedelta(minutes=5), "planned work", "ada"),
        lambda scene: scene.forget("silences"),
    ),
    "a person's veto": (
        lambda scene: scene.ledger.veto(NewVeto(runbook=RUNBOOK, target_key=scene.target, why="brought back by hand")),
        lambda scene: scene.forget("vetoes"),
    ),
    "no budgets store": (lambda scene: scene.budgets.stop(), lambda scene: scene.budgets.restart()),
    "no way to the patient": (lambda scene: scene.door.cut(), lambda scene: scene.door.restore()),
}


@dataclass
class Scene:
    """A fleet that acts live on one patient, with its budgets on a Redis of their own and a door before the patient."""

    shop: Workshop
    patient: Patient
    budgets: OwnRedis
    door: TcpProxy
    url: str

    @property
    def ledger(self):
        return self.shop.world.ledger

    @property
    def target(self) -> str:
        return str(self.shop.world.settings.target_of("shop").key)

    def forget(self, table: str) -> None:
        """What a person ordered is over."""
        with psycopg.connect(self.url) as connection:
            connection.execute(sql.SQL("delete from byteport.{}").format(sql.Identifier(table)))

    def over(self, incident: str) -> bool:
        """Nothing will happen by itself any more."""
        found = self.shop.incident(incident)
        return found.phase is Phase.CLOSED or found.escalated_at is not None

    def clear_up(self, incident: str) -> None:
        """A person closes it, and the cooldown passes."""
        if self.shop.incident(incident).phase is not Phase.CLOSED:
            self.ledger.command(incident, "close", "ada", "next")
            eventually(lambda: self.shop.incident(incident).phase is Phase.CLOSED, within=20)
        travel(self.url, COOLDOWN)


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: RunningPostgres, patients: Patients
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("inaction")
    with ExitStack() as undo:
        url = postgres_server.url_of(undo.enter_context(Databases(postgres_server).fresh()))
        broker = undo.enter_context(EmbeddedRedis(folder / "broker", durable=False).start())
        spec = EmbeddedRedis(folder / "budgets", durable=False)
        budgets = OwnRedis(spec, spec.start())
        undo.callback(budgets.stop)
        patient = patients.lend({"max_connections": 20})
        undo.callback(patients.give_back, patient)
        door = TcpProxy(patient.port)
        undo.callback(door.close)
        shop = undo.enter_context(
            workshop(
                Path(folder), url, broker.url, patient, via=str(door.port), budgets_url=budgets.url,
                policy={"first_day_rate": 1000},
            )
        )  # fmt: skip
        shop.start("probe", "act", "decide", "beat")
        shop.go_live()
        yield Scene(shop, patient, budgets, door, url)


def ended(patient: Patient, crowd: Crowd) -> int:
    """As the patient's own list of sessions has it: asking the sessions themselves would make them busy."""
    pids = [one.info.backend_pid for one in crowd.people]
    (row,) = patient.run("SELECT count(*)::int AS n FROM pg_stat_activity WHERE pid = ANY(%s)", pids)
    return len(pids) - int(row["n"])


def watch(patient: Patient, crowd: Crowd) -> None:
    """Look at the patient again and again: everybody stays."""
    until = monotonic() + WATCHED
    while monotonic() < until:
        assert ended(patient, crowd) == 0
        patient.run("SELECT pg_sleep(0.2)")


@pytest.mark.parametrize("what", STANDING_IN_THE_WAY)
def test_inaction_while_there_is(scene: Scene, what: str) -> None:
    stands, falls = STANDING_IN_THE_WAY[what]
    with Crowd(scene.patient.url) as crowd:
        crowd.idle_in_transaction(3, application="shop-web")
        stands(scene)
        refused = scene.shop.signal()
        watch(scene.patient, crowd)
        falls(scene)
        eventually(lambda: scene.over(refused), within=100)
        assert ended(scene.patient, crowd) == 0
        scene.clear_up(refused)
        allowed = scene.shop.signal()
        eventually(lambda: ended(scene.patient, crowd) == 3, within=WATCHED)
    eventually(lambda: scene.over(allowed), within=60)
    scene.clear_up(allowed)


def test_inaction_while_the_ledger_is_gone(
    patient: Callable[..., Patient], tmp_path: Path, ledger_url: str, redis_url: str, tcp_proxy: Callable[[int], TcpProxy],
    postgres_server: RunningPostgres,
) -> None:  # fmt: skip
    """A signal that cannot be stored is not taken; what is sent again afterwards is treated."""
    door, sick = tcp_proxy(postgres_server.port), patient(max_connections=20)
    through = door.through(ledger_url)
    with (
        workshop(tmp_path, through, redis_url, sick, policy={"first_day_rate": 1000}) as shop,
        Crowd(sick.url) as crowd,
    ):
        crowd.idle_in_transaction(3, application="shop-web")
        shop.start("probe", "act", "decide", "beat")
        shop.go_live()
        door.cut()
        with pytest.raises(Unavailable):
            shop.signal()
        watch(sick, crowd)
        door.restore()
        eventually(lambda: shop.world.ledger.answers("") == [], within=20)
        shop.signal()
        eventually(lambda: ended(sick, crowd) == 3, within=WATCHED)
