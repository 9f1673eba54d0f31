"""What a row of the benchmark's table says, and when it is met."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, TypeVar

T = TypeVar("T")
HOLDS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}


@dataclass(frozen=True)
class Goal:
    """A figure and on which side of it one has to be."""

    side: Literal["<=", ">=", "<"]
    figure: float
    unit: str = "x"

    def met_by(self, found: float) -> bool:
        return HOLDS[self.side](found, self.figure)

    def __str__(self) -> str:
        return f"{self.side} {told(self.figure)} {self.unit}"


@dataclass(frozen=True)
class Row:
    """One line. `byteport` and `reference` are medians in `unit`; `ratios` has one figure for each alternation.

    A row without a reference is measured against its goal by itself. `lenient`: latencies on a shared machine fail only
    where every alternation misses; CPU, commands, memory and caps are gates, so their median counts.
    """

    number: int
    what: str
    goal: Goal
    byteport: float
    unit: str = ""
    reference: float | None = None
    reference_is: str = ""
    ratios: tuple[float, ...] = ()
    lenient: bool = False
    note: str = ""

    @property
    def found(self) -> float:
        """What the goal is about: the median ratio, or where nothing was measured beside it, the figure."""
        return median(self.ratios) if self.ratios else self.byteport

    @property
    def ok(self) -> bool:
        if self.lenient and self.ratios:
            return any(self.goal.met_by(one) for one in self.ratios)
        return self.goal.met_by(self.found)

    def as_json(self) -> dict[str, Any]:
        ratio = round(self.found, 4) if self.ratios else None
        spread = [round(min(self.ratios), 4), round(max(self.ratios), 4)] if self.ratios else None
        return {
            "row": self.number, "what": self.what, "byteport": round(self.byteport, 6), "reference": self.reference,
            "reference_is": self.reference_is, "unit": self.unit, "ratio": ratio, "range": spread,
            "goal": str(self.goal), "ok": self.ok, "note": self.note,
        }  # fmt: skip


def compared(
    number: int, what: str, goal: Goal, pairs: Sequence[tuple[float, float]], *, unit: str, against: str,
    lenient: bool = False, note: str = "",
) -> Row:  # fmt: skip
    """A row of alternations: each pair is what BytePort and the reference took in the same turn."""
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    return Row(
        number, what, goal, median(ours), unit, median(theirs), against, tuple(a / b for a, b in pairs), lenient, note
    )


def alternated(rounds: int, ours: Callable[[], T], theirs: Callable[[], T]) -> list[tuple[T, T]]:
    """Both in turn; who begins changes from round to round, so that a slow spell of the machine favours neither."""
    found: list[tuple[T, T]] = []
    for turn in range(rounds):
        if turn % 2:
            second = theirs()
            found.append((ours(), second))
        else:
            first = ours()
            found.append((first, theirs()))
    return found


def told(figure: float) -> str:
    """Three digits that count; whole numbers as they are."""
    return f"{figure:,.0f}" if figure == int(figure) or abs(figure) >= 1000 else f"{figure:.3g}"


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = ["| row | what | BytePort | reference | ratio (range) | goal | met |", "|---|---|---|---|---|---|---|"]
    for one in rows:
        reference = f"{told(one.reference)} {one.unit} ({one.reference_is})" if one.reference is not None else "-"
        spread = f"{one.found:.3g} ({min(one.ratios):.3g} to {max(one.ratios):.3g})" if one.ratios else "-"
        lines.append(
            f"| {one.number} | {one.what} | {told(one.byteport)} {one.unit} | {reference} | {spread} "
            f"| {one.goal} | {'yes' if one.ok else 'NO'} |"
        )
    return "\n".join(lines)
