"""When the poller speaks, and when it does not: the pure decision, and one look with everything around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.errors import OutOfTime, Transient, Unavailable
from byteport.model.facts.database import Utilization
from byteport.model.signal import Severity, Signal
from byteport.model.target import Target, TargetKind
from byteport.sources.database import DatabasePoller, PollRules, Watched

RULES = PollRules()
TARGET = Target(kind=TargetKind.DATABASE, key="db1/shop", within=("db1",), coordinates={"database": "shop"})


def signals_at(looks: list[tuple[float, float]], rules: PollRules = RULES) -> list[float]:
    """The times at which these looks (time, fraction) led to a signal."""
    watched, given = Watched(), []
    for at, fraction in looks:
        watched, signal, _ = watched.seen(at, fraction, rules)
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
        watched, _, cleared = watched.seen(at, fraction, RULES)
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
    """A `Ledger` and an intake that remember what they were told."""

    seen: list[str] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    refusing: bool = False

    def see_target(self, target: Target) -> None:
        self.seen.append(target.key)

    def take(self, signal: Signal) -> None:
        if self.refusing:
            raise Unavailable("the ledger is gone")
        self.signals.append(signal)


@pytest.fixture
def polled() -> Callable[..., Notes]:
    """Polls once every ten seconds with these answers."""

    def poll(*answers: Utilization | Exception, notes: Notes | None = None) -> Notes:
        notes = notes or Notes()
        now = {"at": -10.0}
        poller = DatabasePoller(Server(iter(answers)), notes, notes.take, (TARGET,), RULES, lambda: now["at"])  # type: ignore[arg-type]
        for _ in answers:
            now["at"] += 10.0
            poller.poll()
        return notes

    return poll


FULL, CALM = Utilization(clients=19, usable=20), Utilization(clients=3, usable=20)


def test_the_signal_names_the_target_and_the_figure(polled: Callable[..., Notes]) -> None:
    (signal,) = polled(*[FULL] * 7).signals
    assert (signal.name, signal.severity, signal.target, signal.value, signal.resolved) == (
        "db_pool_exhausted",
        Severity.CRITICAL,
        TARGET,
        0.95,
        False,
    )
    assert "19 of 20" in signal.summary


def test_a_calm_database_is_seen_and_nothing_is_said_of_it(polled: Callable[..., Notes]) -> None:
    notes = polled(CALM, CALM, CALM)
    assert notes.seen == [TARGET.key] * 3
    assert notes.signals == []


def test_a_condition_that_was_told_is_taken_back_when_it_is_over(polled: Callable[..., Notes]) -> None:
    notes = polled(*[FULL] * 7, CALM, CALM)
    assert [signal.resolved for signal in notes.signals] == [False, True]


def test_a_database_that_does_not_answer_is_neither_full_nor_clear(polled: Callable[..., Notes]) -> None:
    notes = polled(FULL, *[OutOfTime("no answer")] * 10)
    assert notes.signals == []
    assert notes.seen == [TARGET.key]


def test_no_slot_for_the_poller_itself_counts_as_full(polled: Callable[..., Notes]) -> None:
    refusal = Transient("db1/shop: remaining slots are reserved (every slot is taken, and no connection was kept)")
    (signal,) = polled(*[refusal] * 7).signals
    assert signal.value == 1.0


def test_a_signal_that_could_not_be_stored_is_given_again_at_the_next_look(polled: Callable[..., Notes]) -> None:
    notes, now = Notes(refusing=True), {"at": 0.0}
    poller = DatabasePoller(Server(iter([FULL] * 8)), notes, notes.take, (TARGET,), RULES, lambda: now["at"])  # type: ignore[arg-type]
    for _ in range(7):
        poller.poll()
        now["at"] += 10.0
    assert notes.signals == []
    notes.refusing = False
    poller.poll()
    assert [signal.name for signal in notes.signals] == ["db_pool_exhausted"]


def test_without_databases_nothing_is_asked() -> None:
    notes = Notes()
    DatabasePoller(Server(iter(())), notes, notes.take, (), RULES).poll()  # type: ignore[arg-type]
    assert notes.seen == []
