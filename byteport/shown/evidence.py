"""Evidence before and after: what the first round told of each field, and what the newest did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from byteport.records.evidence import StoredAnswer
from byteport.shown.record import Record


@dataclass(frozen=True)
class FieldLine:
    """One field of the evidence. `after` is None where it was looked at once."""

    name: str
    before: StoredAnswer
    after: StoredAnswer | None
    rounds: int

    @property
    def newest(self) -> StoredAnswer:
        return self.after or self.before


@dataclass(frozen=True)
class Figure:
    """One figure of a fact; `before` equals `after` where nothing changed or it was looked at once."""

    name: str
    before: Any
    after: Any

    @property
    def changed(self) -> bool:
        return bool(self.before != self.after)


def evidence_of(record: Record) -> list[FieldLine]:
    """What failed first, then what was told, then what is not configured; each in the order of the answers."""
    rounds: dict[str, list[StoredAnswer]] = {}
    for answer in sorted(record.answers, key=lambda a: a.round):
        rounds.setdefault(answer.field, []).append(answer)
    lines = [FieldLine(name, told[0], told[-1] if len(told) > 1 else None, len(told)) for name, told in rounds.items()]
    return sorted(lines, key=lambda line: (line.newest.failure is None, line.newest.fact is None))


def decided_on(record: Record) -> dict[str, StoredAnswer]:
    """The answers that the newest diagnosis was made of, by field; empty before there is one."""
    decided = next((event for event in reversed(record.events) if event.kind == "diagnosis"), None)
    if decided is None:
        return {}
    looks = [int(e.data["round"]) for e in record.events if e.kind == "look" and e.seq < decided.seq]
    answers = sorted(record.answers, key=lambda answer: answer.round)
    return {answer.field: answer for answer in answers if answer.round <= max(looks, default=1)}


def in_short(answer: StoredAnswer | None, most: int = 12) -> str:
    """One line of an answer: its first figures, why there is none, or that it is not configured."""
    if answer is None:
        return "no answer in time"
    if answer.failure is not None:
        return str(answer.failure)
    if answer.fact is None:
        return "not configured"
    figures = plain_figures(answer.fact)
    shown = [f"{name} {_clipped(value)}" for name, value in list(figures.items())[:most]]
    return ", ".join([*shown, *(["…"] if len(figures) > most else [])])


def _clipped(value: object) -> str:
    text = {True: "yes", False: "no", None: "-"}[value] if isinstance(value, bool) or value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def figures_of(line: FieldLine) -> list[Figure]:
    """The plain figures of a fact (numbers, texts, truths), lists by their length; nested ones stay in the JSON."""
    before, after = plain_figures(line.before.fact), plain_figures(line.newest.fact)
    return [Figure(name, before.get(name), after.get(name)) for name in dict.fromkeys((*before, *after))]


def plain_figures(fact: object) -> dict[str, Any]:
    """A fact's own figures by name: lists by their length, nested ones left out."""
    if fact is None:
        return {}
    if isinstance(fact, list):
        return {"entries": len(fact)}
    if not isinstance(fact, dict):
        return {"value": fact}
    told: dict[str, Any] = {}
    for name, value in fact.items():
        if isinstance(value, list):
            told[name] = len(value)
        elif not isinstance(value, dict):
            told[name] = round(value, 4) if isinstance(value, float) else value
    return told
