"""A whole BytePort on real stores, with the ward as its only patient, driven move by move by a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from byteport.engine.engine import Engine
from byteport.engine.intake import ByHand
from byteport.engine.outbox import Outbox
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.grammar.runbook import Runbook
from byteport.model.signal import Mode, Severity, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.delivery import Delivery, Receipt
from byteport.records.incident import Incident, Phase
from byteport.testing.time_travel import travel
from byteport.wiring import NoDoorbell
from tests.ward import pages
from tests.ward.patient import Ward

OPEN = frozenset(Phase) - {Phase.CLOSED}


class PowerCut(BaseException):
    """The process is gone: nothing of ours catches this."""


@dataclass
class Cuts:
    """Counts calls across all ports; dies just before or just after the n-th."""

    at: int = 0
    after: bool = False
    seen: int = 0
    was_cut: bool = False

    def through(self, call: Callable[..., Any], *args: Any, **more: Any) -> Any:
        self.seen += 1
        if self.seen == self.at and not self.after:
            self.was_cut = True
            raise PowerCut
        answer = call(*args, **more)
        if self.seen == self.at and self.after:
            self.was_cut = True
            raise PowerCut
        return answer


CHANGING = frozenset(
    [
        "admit",
        "take_look",
        "claim",
        "save",
        "save_and_claim",
        "store_and_claim",
        "claim_and_read",
        "open_intent",
        "open_and_begin",
        "begin_attempt",
        "mark_answered",
        "settle",
        "take_locks",
        "veto",
        "take_group",
        "take_quick_groups",
        "store_answers",
        "groups_to_send",
        "deliveries_due",
        "still_to_send",
        "delivered",
        "not_delivered",
        "reserve",
        "give_back",
        "rebuild",
        "change",
    ]
)


@dataclass(frozen=True)
class Wire:
    """A port whose every changing call may be where the power goes; reading changes nothing, so it is not counted."""

    port: Any
    cuts: Cuts

    def __getattr__(self, name: str) -> Any:
        reached = getattr(self.port, name)
        if name not in CHANGING:
            return reached
        return lambda *args, **more: self.cuts.through(reached, *args, **more)


@dataclass(frozen=True)
class WardPorts:
    """Readers and writers: the ward is all there is."""

    ward: Any


@dataclass
class Notebook:
    """A channel that keeps what it was told; askable, like one that stores its messages."""

    name: str = "slack"
    askable: bool = True
    sent: list[Delivery] = field(default_factory=list)

    def send(self, delivery: Delivery) -> Receipt:
        self.sent.append(delivery)
        return Receipt(reference=f"n{len(self.sent)}")

    def find(self, delivery: Delivery) -> Receipt | None:
        known = [n for n, one in enumerate(self.sent, 1) if one.id == delivery.id]
        return Receipt(reference=f"n{known[0]}") if known else None


@dataclass
class World:
    """`run` moves an incident until it rests, letting the ledger's time pass where it waits. `together`: as many moves
    under one claim as go, and what is asked quickly asked at once, as the fleet does it; else move by move."""

    ledger: Any
    budgets: Any
    ward: Ward
    url: str
    redis_url: str
    policy: Policy = field(default_factory=lambda: Policy(first_day_rate=1000, channels=("slack",)))
    pages: Sequence[Runbook] = pages.ALL
    notebook: Notebook = field(default_factory=Notebook)
    cuts: Cuts = field(default_factory=Cuts)
    has_hands: bool = True
    together: bool = False

    def engine(self, driver: str = "") -> Engine:
        ports: Any = WardPorts(Wire(self.ward, self.cuts))
        ledger: Any = Wire(self.ledger, self.cuts)
        outbox = Outbox(ledger, {"slack": self.notebook, "journal": self.notebook})
        return Engine(
            ledger, Wire(self.budgets, self.cuts), ports, ports, Pages(tuple(self.pages)), self.policy, NoDoorbell(), outbox,
            driver=driver, has_hands=self.has_hands, has_eyes=self.together,
        )  # fmt: skip

    def signal(self, runbook: str, valve: str = "v1", **more: Any) -> Signal:
        return Signal(
            name=runbook, source="test", fired_at=datetime.now(UTC), severity=more.pop("severity", Severity.WARNING),
            target=Target(kind=TargetKind.SERVICE, key=valve, within=more.pop("within", ())), **more,
        )  # fmt: skip

    def open(self, runbook: str, valve: str = "v1", mode: Mode = Mode.LIVE, **more: Any) -> str:
        """A live incident, unless told otherwise, as the fleet would open it."""
        self.ward.prepare(valve)
        if mode is not Mode.DRY_RUN:
            self.ledger.promote(runbook, mode, "test", "for the test")
        admission = self.engine().take(self.signal(runbook, valve, **more))
        assert admission is not None
        return admission.incident

    def open_by_hand(self, runbook: str, valve: str = "v1", mode: Mode = Mode.LIVE) -> str:
        self.ward.prepare(valve)
        admission = self.engine().take(self.signal(runbook, valve), ByHand("ada", mode, runbook))
        assert admission is not None
        return admission.incident

    def step(self, incident: str) -> Incident | None:
        """Everything that is due now: looks, then one move."""
        engine = self.engine()
        self._look(engine, incident)
        moved = engine.run(incident, OPEN, for_hands=OPEN) if self.together else None
        if not self.together:
            moved = engine.move(incident)
        self._look(engine, incident)
        return moved

    def _look(self, engine: Engine, incident: str) -> None:
        for round_, group in engine.groups_to_send(incident):
            engine.look(incident, round_, group)

    def now(self, incident: str) -> Incident:
        found = self.ledger.incident(incident)
        assert found is not None
        return found

    def run(self, incident: str, *, until: Phase | None = None, most: int = 120, deliver: bool = True) -> Incident:
        """Until it is closed, rests escalated, or enters `until`; waits pass by the ledger's clock being moved."""
        for _ in range(most):
            moved = self.step(incident)
            current = self.now(incident)
            if current.phase is until or _rests(current):
                break
            if (moved is None or not moved.is_due_now) and (wait := self.wait_of(incident)) > 0:
                travel(self.url, wait + 0.05)
        if deliver:
            self.engine().deliver_due()
        return self.now(incident)

    def wait_of(self, incident: str) -> float:
        """Seconds until it is due or its lost holder's lease has ended."""
        question = """select extract(epoch from greatest(due_at, coalesce(lease_until, due_at)) - byteport.clock())
                      from byteport.incidents where id = %s"""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(question, [incident]).fetchone()
        assert row is not None
        return float(row[0])

    def texts(self, incident: str, kind: str) -> list[str]:
        return [event.text for event in self.ledger.events(incident) if event.kind == kind]

    def verdicts(self, incident: str) -> list[dict[str, Any]]:
        events = self.ledger.events(incident)
        return [event.data["blocking"] for event in events if event.kind == "verdict" and "blocking" in event.data]


def _rests(incident: Incident) -> bool:
    told = incident.phase is Phase.ESCALATE and incident.escalated_at is not None
    return incident.phase is Phase.CLOSED or told or incident.awaits_approval


def race(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """All at once, from one start; what each answered or raised."""
    answers: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def one(n: int) -> None:
        start.wait(timeout=10)
        try:
            answers[n] = calls[n]()
        except Exception as problem:  # noqa: BLE001 - what it raised is its answer
            answers[n] = problem

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers


HOUR = timedelta(hours=1)
