"""Facts of a postmortem as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from byteport.engine.postmortem import LONGEST_FACT, _short


@pytest.mark.parametrize(
    ("fact", "read"),
    [
        (None, "not known"),
        (True, "yes"),
        (0.88, "0.88"),
        ({}, "none"),
        ([], "none"),
        (["pid 7", "pid 9"], "pid 7; pid 9"),
        ({"user": "shop", "waits": None, "locks": [1, 2]}, "user: shop; waits: not known; locks: (1; 2)"),
    ],
)
def test_a_fact_in_words(fact: Any, read: str) -> None:
    assert _short(fact) == read


def test_only_what_nobody_would_read_is_cut_and_says_so() -> None:
    assert _short("x" * 1000) == "x" * 1000
    cut = _short(["x" * 100] * 100)
    assert len(cut) < LONGEST_FACT + 40
    assert cut.endswith("… (whole in the record)")
