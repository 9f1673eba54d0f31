"""Growing a cloud's disk by a quarter, within its ceiling: for good, so it is the last step and has to be allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from byteport.grammar.action import Action
from byteport.grammar.guard import Facts
from byteport.grammar.guards import Guard
from byteport.grammar.plan import Do
from byteport.grammar.runbook import Move
from byteport.grammar.verdict import OnHit, Verdict
from byteport.model.root_commands import grow_file_system
from byteport.runbooks.linux import disk_steps as steps
from byteport.runbooks.linux.reclaim_evidence import ReclaimEvidence


@dataclass(frozen=True, kw_only=True)
class OnlyAfter(Guard):
    """Another move of the same incident has ended well, or was found to be so already: this one builds on it."""

    move: str
    on_hit: OnHit = "skip"
    kind: ClassVar[str] = "precondition"

    def check(self, action: Action, facts: Facts) -> Verdict:
        if self.move in facts.done:
            return self.allow(f"{self.move} was carried out")
        return self.deny(f"{self.move} was not carried out", lifts="")

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": f"{self.move} was carried out", "scope": "per incident"}


def ceiling(e: ReclaimEvidence) -> float:
    """Gigabytes that a volume may have at most."""
    return float(e.options.get("policy.maxVolumeGb", 500))


def target(e: ReclaimEvidence) -> int:
    """A quarter more, at most the ceiling."""
    return min(math.ceil(1.25 * e.cloud_volume.gigabytes), int(ceiling(e)))


def why_not(e: ReclaimEvidence) -> str:
    """Why the volume is not grown; empty where it is."""
    if e.options.get("policy.allowVolumeGrow") is not True:
        return "policy.allowVolumeGrow is not true"
    if not e.knows("cloud_volume"):
        return e.why_unknown("cloud_volume")
    volume = e.cloud_volume
    if volume.why or volume.changing:
        return volume.why or f"{volume.id} is being changed already"
    if target(e) <= volume.gigabytes:
        return f"{volume.id} has {volume.gigabytes} GB, the ceiling is {ceiling(e):g}"
    return "" if e.metric == "bytes" else "inodes ran out, and not bytes"


def grow(e: ReclaimEvidence, volume: Move, extend: Move) -> Iterable[Do]:
    """The disk first, then partition and file system; a disk that did not grow leaves nothing to extend. Where it was
    larger than its file system from the first, somebody may have left room on purpose: that is not taken."""
    if not why_not(e):
        yield volume(**steps.place(e), volume=e.cloud_volume, to=target(e))
        yield extend(**steps.place(e), what="extend", place=e.fs.mount, commands=(grow_file_system(e.fs.mount),))
