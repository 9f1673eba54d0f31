"""When the poller speaks, and when it does not: the pure decision, and one look with everything around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.errors import OutOfTime, Transient, Unavailable
from byteport.model.facts.database import Utilization
from byteport.model.signal import Severity, Signal
from byteport.model.target import Target, TargetKind
from byteport.sources.database import DatabasePoller, PollRules, Watched
from byteport.testing.time_travel import travel

RULES = PollRules()
BEGAN = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
TARGET = Target(kind=TargetKind.DATABASE, key="db1/shop", within=("db1",), coordinates={"database": "shop"})


def signals_at(looks: list[tuple[float, float]], rules: PollRules = RULES) -> list[float]:
    """The times at which these looks (time, fraction) led to a signal."""
    watched, given = Watched(), []
    for at, fraction in looks:
        watched, signal, _ = watched.seen(BEGAN + timedelta(seconds=at), fraction, rules)
        given += [at] if signal else []
    return given


def every_ten(fractions: list[float]) -> list[tuple[float, float]]:
    return [(10.0 * number, fraction) for number, fraction in enumerate(fractions)]


def test_ninety_percent_for_sixty_seconds_is_a_signal() -> None:
    assert signals_at(every_ten([0.90] * 8)) == [60.0]


def test_fifty_nine_seconds_are_not_enough() -> None:
    assert signals_at([(0.0, 0.95), (20.0, 0.95), (40.0, 0.95), (59.9, 0.95)]) == []


def test_just_below_ninety_percent_never_signals() -> None:
    assert signals_at(every_ten([0.899] * 100)) == []


def test_one_calm_look_starts_the_time_anew() -> None:
    assert signals_at(every_ten([0.95] * 5 + [0.5] + [0.95] * 6)) == []
    assert signals_at(every_ten([0.95] * 5 + [0.5] + [0.95] * 7)) == [120.0]


def test_a_gap_in_the_looking_starts_the_time_anew() -> None:
    assert signals_at([(0.0, 0.95), (10.0, 0.95), (70.0, 0.95), (80.0, 0.95)]) == []


def test_while_it_lasts_the_signal_is_repeated_once_a_minute() -> None:
    assert signals_at(every_ten([0.95] * 20)) == [60.0, 120.0, 180.0]


def clears_at(looks: list[tuple[float, float]]) -> list[float]:
    watched, found = Watched(), []
    for at, fraction in looks:
        watched, _, cleared = watched.seen(BEGAN + timedelta(seconds=at), fraction, RULES)
        found += [at] if cleared else []
    return found


def test_a_cleared_condition_is_told_once() -> None:
    assert clears_at(every_ten([0.95] * 8 + [0.2] * 3)) == [80.0]


def test_after_a_gap_in_the_looking_a_told_condition_is_still_taken_back() -> None:
    assert clears_at([*every_ten([0.95] * 8), (400.0, 0.95), (410.0, 0.2)]) == [410.0]


def test_what_was_never_told_is_not_taken_back() -> None:
    assert clears_at(every_ten([0.95] * 5 + [0.2] * 3)) == []
    assert clears_at(every_ten([0.2] * 3)) == []


@given(st.lists(st.tuples(st.floats(0.1, 40.0), st.floats(0, 1.2)), max_size=60))
def test_a_signal_means_that_every_look_of_the_last_minute_was_over(steps: list[tuple[float, float]]) -> None:
    at, looks = 0.0, []
    for wait, fraction in steps:
        at += wait
        looks.append((at, fraction))
    for signal in signals_at(looks):
        minute = [fraction for when, fraction in looks if signal - RULES.sustained <= when <= signal]
        assert minute
        assert all(fraction >= RULES.threshold for fraction in minute)


@dataclass
class Server:
    """A `Database` port that answers as told: a Utilization, or an error to raise."""

    answers: Iterator[Utilization | Exception]

    def utilization(self, _database: str) -> Utilization:
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Notes:
    """An intake that remembers what it was told."""

    signals: list[Signal] = field(default_factory=list)
    refusing: bool = False

    def take(self, signal: Signal) -> None:
        if self.refusing:
            raise Unavailable("the ledger is gone")
        self.signals.append(signal)


Looks = Callable[..., Notes]


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[PostgresLedger]:
    migrate(ledger_url)
    with closing(PostgresLedger(ledger_url)) as opened:
        yield opened


@pytest.fixture
def polled(ledger: PostgresLedger, ledger_url: str) -> Looks:
    """Looks once every ten seconds, each time from a poller of its own, as another process would."""

    def poll(*answers: Utilization | Exception, notes: Notes | None = None) -> Notes:
        notes = notes or Notes()
        for answer in answers:
            DatabasePoller(Server(iter([answer])), ledger, notes.take, (TARGET,), RULES, "c1").poll()  # type: ignore[arg-type]
            travel(ledger_url, 10.0)
        return notes

    return poll


FULL, CALM = Utilization(clients=19, usable=20), Utilization(clients=3, usable=20)


def test_the_signal_names_the_target_and_the_figure(polled: Looks) -> None:
    (signal,) = polled(*[FULL] * 7).signals
    assert (signal.name, signal.severity, signal.target, signal.value, signal.resolved) == (
        "db_pool_exhausted",
        Severity.CRITICAL,
        TARGET,
        0.95,
        False,
    )
    assert "19 of 20" in signal.summary


def test_a_calm_database_is_seen_and_nothing_is_said_of_it(polled: Looks, ledger: PostgresLedger) -> None:
    assert ledger.figures().polled_seconds_ago is None
    assert polled(CALM, CALM, CALM).signals == []
    assert ledger.figures().polled_seconds_ago is not None
    assert [(row.name, row.error) for row in ledger.pollers()] == [("database db1/shop", "")]


def test_a_condition_that_was_told_is_taken_back_when_it_is_over(polled: Looks) -> None:
    notes = polled(*[FULL] * 7, CALM, CALM)
    assert [signal.resolved for signal in notes.signals] == [False, True]


def test_a_database_that_does_not_answer_is_neither_full_nor_clear(polled: Looks, ledger: PostgresLedger) -> None:
    assert polled(FULL, *[OutOfTime("no answer")] * 10).signals == []
    (row,) = ledger.pollers()
    assert (row.error, row.silent_seconds > 90) == ("no answer", True)


def test_silence_is_no_part_of_the_time_that_a_database_was_full(polled: Looks) -> None:
    away = OutOfTime("no answer")
    assert polled(*[FULL] * 4, away, away, away, *[FULL] * 6).signals == []


def test_one_look_without_an_answer_does_not_begin_the_time_anew(polled: Looks) -> None:
    assert len(polled(*[FULL] * 3, OutOfTime("no answer"), *[FULL] * 3).signals) == 1


def test_no_slot_for_the_poller_itself_counts_as_full(polled: Looks) -> None:
    refusal = Transient("db1/shop: remaining slots are reserved (every slot is taken, and no connection was kept)")
    (signal,) = polled(*[refusal] * 7).signals
    assert signal.value == 1.0


def test_a_signal_that_could_not_be_stored_is_given_again_at_the_next_look(polled: Looks) -> None:
    notes = polled(*[FULL] * 7, notes=Notes(refusing=True))
    assert notes.signals == []
    notes.refusing = False
    assert [signal.name for signal in polled(FULL, notes=notes).signals] == ["db_pool_exhausted"]


def test_without_databases_nothing_is_asked(ledger: PostgresLedger) -> None:
    DatabasePoller(Server(iter(())), ledger, Notes().take, (), RULES).poll()  # type: ignore[arg-type]
    assert ledger.pollers() == []
