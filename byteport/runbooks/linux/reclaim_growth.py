"""Growing a cloud's disk by a quarter, within its ceiling: for good, so it is the last step and has to be allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable

from byteport.grammar.plan import Do
from byteport.grammar.runbook import Move
from byteport.model.root_commands import grow_file_system
from byteport.runbooks.linux import disk_steps as steps
from byteport.runbooks.linux.reclaim_evidence import ReclaimEvidence


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
    """The disk first, then partition and file system; a disk that did not grow leaves nothing to extend."""
    if not why_not(e):
        yield volume(**steps.place(e), volume=e.cloud_volume, to=target(e))
        yield extend(**steps.place(e), what="extend", place=e.fs.mount, commands=(grow_file_system(e.fs.mount),))
