"""What an audit of the journals shows, of one incident or of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from byteport.model.base import Json
from byteport.records.audit import Anchor, ChainBreak
from byteport.stores_audit import Audited


@dataclass(frozen=True)
class Audit:
    """How many journals were read, and the first break of each that has one; `anchor` where all were."""

    journals: int
    breaks: tuple[ChainBreak, ...]
    anchor: Anchor | None = None

    @property
    def is_whole(self) -> bool:
        return not self.breaks


def of_one(ledger: Audited, incident: str) -> Audit:
    """One incident's journal; it must be known."""
    return Audit(1, tuple(ledger.chain_breaks([incident])))


def of_all(ledger: Audited, anchor: Anchor) -> Audit:
    """Every journal that there is, a few at a time."""
    read, breaks = 0, list[ChainBreak]()
    for few in _pages(ledger):
        read += len(few)
        breaks += ledger.chain_breaks(few)
    return Audit(read, tuple(breaks), anchor)


def _pages(ledger: Audited) -> Iterator[list[str]]:
    last = ""
    while few := ledger.journals(after=last):
        yield few
        last = few[-1]


def as_json(audit: Audit) -> Json:
    """`incidents verify --json`."""
    return {
        "journals": audit.journals,
        "whole": audit.is_whole,
        "breaks": [one.model_dump(mode="json") for one in audit.breaks],
        "anchor": audit.anchor.model_dump(mode="json") if audit.anchor is not None else None,
    }
