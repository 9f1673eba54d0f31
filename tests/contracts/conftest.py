"""A ledger of a test's own, with the few words that its tests are told in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

import psycopg
import pytest
from psycopg.rows import dict_row

from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.grammar.action import Action
from byteport.grammar.plan import Undo
from byteport.grammar.verdict import Claim, Grant, Verdict
from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.change import Change, Lease
from byteport.records.delivery import Message
from byteport.records.event import Event
from byteport.records.evidence import Round
from byteport.records.incident import Incident, Phase
from byteport.records.intent import Intent, NewIntent
from byteport.records.outcome import Refused
from byteport.stores_signals import Opening
from byteport.testing.time_travel import travel

T = TypeVar("T")
RUNBOOK, PAGE = "db_pool", "page-1"


class Kick(Action):
    """A mutation that only the ledger ever sees."""

    idempotent: ClassVar[bool] = True
    what: str = "session:7"

    @property
    def subject(self) -> str:
        return self.what

    @property
    def write_scope(self) -> str:
        return "server-1"


def target_of(key: str = "db-1") -> Target:
    return Target(kind=TargetKind.DATABASE, key=key)


def once(key: str = "kills:server-1", *, limit: int = 1, per: float = 60, amount: int = 1, **more: Any) -> Claim:
    return Claim(key=key, limit=limit, window_seconds=per, amount=amount, guard="kill_cap", **more)


def race(works: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """All at once, each in a thread; what each returned or raised."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T | Exception:
        gate.wait(timeout=20)
        try:
            return work()
        except Exception as raised:  # noqa: BLE001  (the test looks at it)
            return raised

    with ThreadPoolExecutor(max_workers=len(works)) as pool:
        return list(pool.map(run, works))


@dataclass
class World:
    """One empty, migrated ledger. `clock` of every session on it is moved by `travel`."""

    url: str
    ledger: PostgresLedger

    def travel(self, seconds: float) -> None:
        travel(self.url, seconds)

    def sql(self, text: str, *parameters: Any) -> list[dict[str, Any]]:
        """Past the ledger, as somebody with a client."""
        with psycopg.connect(self.url, row_factory=dict_row, autocommit=True) as connection:
            cursor = connection.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []

    def signal(self, key: str = "db-1", severity: Severity = Severity.WARNING, **more: Any) -> Signal:
        now = self.sql("select byteport.clock() as now")[0]["now"]
        given = {"name": "db_pool_exhausted", "source": "poller", "target": target_of(key), "fired_at": now, **more}
        return Signal.model_validate({**given, "severity": severity})

    def opening(self, key: str = "db-1", runbook: str = RUNBOOK, **more: Any) -> Opening:
        signal = self.signal(key, more.pop("severity", Severity.WARNING), **more.pop("of", {}))
        return Opening.model_validate({"signal": signal, "runbook": runbook, "page": PAGE, "mode": Mode.LIVE, **more})

    def open(self, key: str = "db-1", **more: Any) -> str:
        return self.ledger.admit(self.opening(key, **more)).incident

    def claim(self, incident: str, driver: str = "") -> tuple[Incident, Lease]:
        claimed = self.ledger.claim(incident, [PAGE], driver)
        assert claimed is not None, "not to be claimed"
        return claimed

    def move(self, incident: str, **changes: Any) -> Incident:
        """Claim, change these fields, save."""
        seen, lease = self.claim(incident)
        extra = {name: changes.pop(name) for name in list(changes) if name in Change.model_fields}
        return self.ledger.save(Change(incident=seen.model_copy(update=changes), **extra), lease)

    def acting(self, key: str = "db-1", **more: Any) -> tuple[str, Lease]:
        """An incident in ACT, claimed."""
        incident = self.open(key, **more)
        self.move(incident, phase=Phase.ACT)
        return incident, self.claim(incident)[1]

    def looking(self, key: str = "db-1", groups: Sequence[str] = ("a", "b"), **more: Any) -> str:
        """An incident whose first round is out: group `a` asks for the field `a1`, and so on."""
        incident = self.open(key, **more)
        asked = {group: (f"{group}1",) for group in groups}
        self.move(incident, phase=Phase.PROBE, look=Round(groups=asked, purpose="diagnosis"))
        return incident

    def due_now(self, incident: str) -> None:
        """As if its date had come, with every lease as it is."""
        self.sql("update byteport.incidents set due_at = byteport.clock() where id = %s", incident)

    def epoch(self) -> int:
        with self.ledger.begin_rebuild() as (epoch, _):
            return epoch

    def new_intent(
        self, incident: str, *claims: Claim, key: str = "", epoch: int | None = None, undo: Undo | None = None
    ) -> NewIntent:
        known = self.sql("select epoch from byteport.budgets_epoch")[0]["epoch"]
        grant = Grant(key=key, granted=True, amount=1, epoch=(known or self.epoch()) if epoch is None else epoch)
        return NewIntent(
            key=key or f"i-{incident}", incident=incident, step=0, move="kick", action=Kick(), claims=claims, grant=grant,
            undo=undo,
        )  # fmt: skip

    def intent(self, incident: str, lease: Lease, *claims: Claim, key: str = "", undo: Undo | None = None) -> Intent:
        return self.ledger.open_intent(self.new_intent(incident, *claims, key=key, undo=undo), lease)

    def begin(self, intent: Intent, lease: Lease, timeout: float = 20) -> Intent:
        return self.ledger.begin_attempt(intent, lease, timedelta(seconds=timeout), RUNBOOK)

    def kinds(self, incident: str) -> list[str]:
        return [event.kind for event in self.ledger.events(incident)]

    def message(self, text: str = "help", dedup_key: str = "db-1", channel: str = "slack", **more: Any) -> Message:
        return Message(kind="escalation", channel=channel, dedup_key=dedup_key, title="pool full", text=text, **more)


@pytest.fixture
def world(ledger_url: str) -> Iterator[World]:
    migrate(ledger_url)
    ledger = PostgresLedger(ledger_url, most_connections=12)
    yield World(ledger_url, ledger)
    with suppress(Exception):
        ledger.close()


TOLD = Event(kind="told", text="a line")
DENIED = Refused(verdicts=(Verdict(guard="pause", kind="forbidden", allowed=False),))


def acting(world: World, count: int) -> list[tuple[str, Lease]]:
    return [world.acting(f"db-{n}") for n in range(count)]
