"""The budgets on a real Redis against a model in plain Python, move by move, on the server's own clock to the microsecond."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from byteport.adapters.budgets import RedisBudgets
from byteport.grammar.verdict import Claim, Grant
from byteport.stores import Spend
from tests.servers import eventually

MICRO = 1_000_000
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
KEYS, INTENTS = ("node", "pod", "db"), tuple(f"i{n}" for n in range(8))
WINDOWS = (0, 0.004, 0.02, 5.0, 3600.0)


class Listening(redis.Redis):
    """A client that keeps the last answer of a script: it ends with the server's time of the decision."""

    heard: list[bytes]

    def execute_command(self, *args: object, **options: object) -> object:
        answer = super().execute_command(*args, **options)
        if args[0] == "EVALSHA" and isinstance(answer, list):
            self.heard = answer
        return answer

    @property
    def now(self) -> int:
        return int(self.heard[-1])


@dataclass
class Entry:
    intent: str
    at: int
    amount: int


@dataclass
class Model:
    """What should be so. Windows forget nothing here; what is over is left out when it is counted."""

    epoch: int = 0
    windows: dict[str, list[Entry]] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)

    def counting(self, claim: Claim, now: int) -> list[Entry]:
        length = round(claim.window_seconds * MICRO)
        entries = self.windows.get(claim.key, [])
        return sorted((e for e in entries if not length or e.at + length > now), key=lambda e: e.at)

    def decide(self, key: str, claims: list[Claim], ahead: dict[str, int], now: int) -> Grant:
        if not self.epoch:
            return Grant(key=key, granted=False)
        fixed = {c.key: max([d.amount for d in claims if d.key == c.key and not d.up_to], default=0) for c in claims}
        shared = {c.key for c in claims if c.up_to}
        asked = [c.amount for c in claims if c.up_to]
        amount = min(asked) if asked else max((c.amount for c in claims), default=0)
        for claim in claims:
            if claim.counts_only:
                continue
            entries = self.counting(claim, now)
            used = sum(e.amount for e in entries) + ahead.get(claim.key, 0)
            if claim.key in shared:
                amount = min(amount, claim.limit - used)
            if used + fixed[claim.key] > claim.limit or (claim.key in shared and amount < 1):
                need = max(fixed[claim.key], int(claim.key in shared))
                frees = self.frees(entries, used, claim, need, now)
                return Grant(key=key, granted=False, epoch=self.epoch, refused_by=claim, used=used, frees_at=frees)
        return Grant(key=key, granted=True, amount=amount, epoch=self.epoch)

    def frees(self, entries: list[Entry], used: int, claim: Claim, need: int, now: int) -> datetime | None:
        """The first instant at which `need` fits, found by trying each instant at which something leaves."""
        if not claim.window_seconds or need > claim.limit:
            return None
        length = round(claim.window_seconds * MICRO)
        ahead = used - sum(e.amount for e in entries)
        for when in [*(e.at + length for e in entries), now + length]:
            later = sum(e.amount for e in entries if e.at + length > when) + (ahead if when < now + length else 0)
            if later + need <= claim.limit:
                return BEGINNING + timedelta(microseconds=when)
        raise AssertionError("unreachable: an empty window takes what is within its limit")

    def take(self, grant: Grant, claims: list[Claim], now: int) -> None:
        self.grants[grant.key] = grant
        for key in {claim.key for claim in claims}:
            here = [claim for claim in claims if claim.key == key]
            amount = max(grant.amount if claim.up_to else claim.amount for claim in here)
            self.windows.setdefault(key, []).append(Entry(grant.key, now, amount))

    def give_back(self, intent: str) -> None:
        if self.grants.pop(intent, None):
            self.windows = {k: [e for e in es if e.intent != intent] for k, es in self.windows.items()}

    def forget(self) -> None:
        self.epoch, self.windows, self.grants = 0, {}, {}


claims_lists = st.lists(
    st.builds(
        Claim,
        key=st.sampled_from(KEYS),
        limit=st.integers(0, 6),
        window_seconds=st.sampled_from(WINDOWS),
        amount=st.integers(1, 4),
        up_to=st.booleans(),
        counts_only=st.sampled_from([False, False, False, True]),
        guard=st.sampled_from(["cap", "rate"]),
    ),
    max_size=4,
)
# A store may forget what is older than the longest window it was ever asked for: so everything is watched for an hour.
hour = Claim(key="any", limit=1, window_seconds=3600, guard="watch", counts_only=True)
aheads = st.dictionaries(st.sampled_from(KEYS), st.integers(1, 3), max_size=2)


class BudgetsMachine(RuleBasedStateMachine):
    """Several holders with connections of their own on one server."""

    steps: ClassVar[int] = 0  # of all stories together

    def __init__(self, holders: list[tuple[Listening, RedisBudgets]]) -> None:
        super().__init__()
        self.holders = holders
        holders[0][0].flushall()
        self.model = Model()

    @rule(holder=st.integers(0, 2), intent=st.sampled_from(INTENTS), claims=claims_lists)
    def reserve(self, holder: int, intent: str, claims: list[Claim]) -> None:
        client, budgets = self.holders[holder]
        claims = claims + [hour.with_(key=key) for key in sorted({claim.key for claim in claims})]
        grant = budgets.reserve(intent, claims)
        if self.model.epoch and intent in self.model.grants:
            assert grant == self.model.grants[intent]
            return
        assert grant == self.model.decide(intent, claims, {}, client.now)
        if grant:
            self.model.take(grant, claims, client.now)

    @rule(holder=st.integers(0, 2), claims=claims_lists, ahead=aheads)
    def peek(self, holder: int, claims: list[Claim], ahead: dict[str, int]) -> None:
        client, budgets = self.holders[holder]
        assert budgets.peek(claims, ahead) == self.model.decide("", claims, ahead, client.now)

    @precondition(lambda self: self.model.grants)
    @rule(holder=st.integers(0, 2), intent=st.sampled_from(INTENTS))
    def give_back(self, holder: int, intent: str) -> None:
        self.holders[holder][1].give_back(intent)
        self.model.give_back(intent)

    @rule(seconds=st.sampled_from([0.004, 0.02]))
    def time_passes(self, seconds: float) -> None:
        client, _ = self.holders[0]
        until = _now(client) + seconds * MICRO
        eventually(lambda: _now(client) > until, every=0.001)

    @rule()
    def flush(self) -> None:
        self.holders[0][0].flushall()
        self.model.forget()

    @precondition(lambda self: not self.model.epoch)
    @rule(kept=st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(INTENTS), st.integers(1, 3), st.integers(0, 4000)),
                        max_size=5, unique_by=lambda spend: spend[:2]))  # fmt: skip
    def rebuild(self, kept: list[tuple[str, str, int, int]]) -> None:
        """As the ledger would: every spend of the last hour, under the longest window of all."""
        client, budgets = self.holders[0]
        spends = [
            Spend(claim_key=key, intent=intent, amount=amount, age_seconds=age, window_seconds=3600)
            for key, intent, amount, age in kept
        ]
        budgets.rebuild(5, spends)
        self.model = Model(epoch=5)
        for key, intent, amount, age in kept:
            if age < 3600:
                self.model.windows.setdefault(key, []).append(Entry(intent, client.now - age * MICRO, amount))
                known = self.model.grants.get(intent)
                most = max(amount, known.amount if known else 0)
                self.model.grants[intent] = Grant(key=intent, granted=True, amount=most, epoch=5)

    @invariant()
    def nothing_is_overlooked(self) -> None:
        BudgetsMachine.steps += 1
        client, budgets = self.holders[1]
        watched = [hour.with_(key=key) for key in KEYS]
        used = [count.used for count in budgets.counts(watched)]
        now = _now(client)
        assert used == [sum(e.amount for e in self.model.counting(claim, now)) for claim in watched]
        assert budgets.epoch() == self.model.epoch


def _now(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return seconds * MICRO + micros


@pytest.fixture
def holders(redis_url: str) -> Iterator[list[tuple[Listening, RedisBudgets]]]:
    clients = [Listening.from_url(redis_url) for _ in range(3)]
    yield [(client, RedisBudgets(client)) for client in clients]
    for client in clients:
        client.close()


def test_every_story_ends_as_the_model_says(holders: list[tuple[Listening, RedisBudgets]]):
    machine: Callable[[], BudgetsMachine] = lambda: BudgetsMachine(holders)  # noqa: E731
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=520,  # a story may stop short: 420 of them once came to 9,960 steps
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # the server's clock does not run twice the same, so nothing can be shrunk
        ),
    )
    assert holders[0][0].heard, "the model compared real answers"
    assert BudgetsMachine.steps >= 10_000


def test_it_refuses_until_the_very_instant_that_it_named(holders: list[tuple[Listening, RedisBudgets]]):
    client, budgets = holders[0]
    client.flushall()
    budgets.rebuild(1, [])
    brief = Claim(key="k", limit=1, window_seconds=0.03, guard="cap")
    for turn in range(10):
        assert turn == 0 or budgets.peek([brief]).refused_by == brief
        until = budgets.peek([brief]).frees_at
        while not (grant := budgets.reserve(f"i{turn}", [brief])):
            assert client.now < micros(until)
            assert grant.frees_at == until
        assert turn == 0 or client.now >= micros(until)


def micros(when: datetime) -> int:
    return (when - BEGINNING) // timedelta(microseconds=1)
