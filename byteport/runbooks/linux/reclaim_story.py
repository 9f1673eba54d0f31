"""How the page that reclaims space tells people."""

from __future__ import annotations

from typing import Any

from byteport.actions.disks import in_words
from byteport.grammar.story import Story
from byteport.model.facts.disks import ContainerUse, JournalUse
from byteport.runbooks.linux import disk_story
from byteport.runbooks.linux.disk_story import NOT_KNOWN
from byteport.runbooks.linux.reclaim_evidence import ReclaimEvidence
from byteport.runbooks.linux.reclaim_growth import why_not

CONTENT = (
    "used_pct_per_mount", "bytes_reclaimed_per_step", "top5_directories", "recommended_plus_gb",
    "volume_grow_skipped_reason", "container_volumes", "deleted_but_open", "not_listed",
)  # fmt: skip


def bundle(story: Story) -> dict[str, Any]:
    """What the contract wants people to have, and the volumes that nothing here removes."""
    e: Any = story.evidence
    seen = isinstance(e, ReclaimEvidence) and e.knows("disk_usage")
    journal, used = story.fact("journal_usage"), story.fact("docker_usage")
    first, now = disk_story.system(story, before=True), disk_story.system(story)
    mount = e.target.coordinates.get("mount", "/")
    return {
        "used_pct_per_mount": {mount: f"{disk_story.pct(first)} -> {disk_story.pct(now)} used"},
        "bytes_reclaimed_per_step": disk_story.bytes_per_step(story),
        "top5_directories": disk_story.largest(story, "top_dirs")[:5],
        "recommended_plus_gb": e.more_gigabytes if seen else NOT_KNOWN,
        "volume_grow_skipped_reason": why_not(e) if seen else NOT_KNOWN,
        "container_volumes": volumes(used),
        "containers_just_ended": list(used.just_ended) if isinstance(used, ContainerUse) else [],
        "journal": in_words(journal.bytes) if isinstance(journal, JournalUse) else NOT_KNOWN,
        "deleted_but_open": disk_story.deleted(story, "top_dirs"),
        "not_listed": disk_story.left_out(story),
    }


def volumes(used: Any) -> list[str]:
    """Data: with its size, for a person to decide on."""
    return [f"{in_words(one.bytes)} {one.name}" for one in used.volumes] if isinstance(used, ContainerUse) else []


def summary(story: Story) -> dict[str, Any]:
    told = disk_story.summary(story)
    return {
        "host": told["host"],
        "disk": told["mount"],
        "reclaimed": f"{told['freed']} ({told['steps']})",
        "link": story.link,
    }
