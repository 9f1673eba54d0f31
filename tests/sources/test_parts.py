"""A source of several parts: what answered is told, what did not is named, and nobody waits for ever."""

from __future__ import annotations

import threading
from datetime import timedelta
from time import monotonic

import pytest

from byteport.errors import Denied, Permanent, Transient
from byteport.sources.incoming import Silent
from byteport.sources.parts import each

SOON = timedelta(seconds=0.3)


def answer(part: str) -> str:
    problems = {"away": Transient("away"), "refused": Denied("token=hunter2secret")}
    if part in problems:
        raise problems[part]
    return part.upper()


def test_what_answers_and_what_does_not_in_the_given_order():
    asked = each(["a", "away", "b"], answer)
    assert asked.answers == [("a", "A"), ("b", "B")]
    assert asked.told() == [Silent("away", "an answer (away)")]


def test_nothing_secret_of_an_error_is_told():
    (one,) = each(["a", "refused"], answer).told(lambda part: f"part {part}")
    assert one.field == "part refused"
    assert "hunter2secret" not in one.expected


def test_where_no_part_answers_the_first_s_error_is_raised():
    with pytest.raises(Denied):
        each(["refused", "away"], answer)


def test_no_parts_are_nothing_and_no_error():
    assert each([], answer).answers == []


def test_one_that_hangs_is_silent_and_keeps_nobody_waiting():
    over = threading.Event()
    began = monotonic()
    try:
        asked = each(["a", "hangs"], lambda part: over.wait(20) if part == "hangs" else part, within=SOON)
        assert monotonic() - began < 10
    finally:
        over.set()
    assert [part for part, _ in asked.answers] == ["a"]
    assert asked.told() == [Silent("hangs", "an answer (nothing within 0 s)")]


def test_who_wants_to_be_left_alone_is_asked_no_more():
    asked_for = []

    def limited(part: int) -> int:
        asked_for.append(part)
        if part == 1:
            raise Transient("rate limit", retry_after=timedelta(seconds=60))
        return part

    asked = each([0, 1, 2, 3], limited, most=1)
    assert asked_for == [0, 1]
    assert [part for part, _ in asked.silent] == [1, 2, 3]


def test_a_bug_is_no_silence():
    with pytest.raises(ZeroDivisionError):
        each([1, 0], lambda part: 1 / part)


def test_at_most_so_many_at_once():
    now, most, lock = [0], [0], threading.Lock()

    def one(_part: int) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.02)
        with lock:
            now[0] -= 1

    each(list(range(12)), one, most=3)
    assert 1 <= most[0] <= 3


def test_the_kind_of_error_is_kept():
    with pytest.raises(Permanent, match="wrong"):
        each([1], lambda _part: (_ for _ in ()).throw(Permanent("wrong")))
