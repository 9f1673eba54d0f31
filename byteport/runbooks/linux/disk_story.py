"""How the pages about full disks tell people."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import join, quote
from typing import Any

from byteport.actions.disks import in_words
from byteport.grammar.story import Performed, Story
from byteport.model.facts.disks import Consumers, FileSystem
from byteport.runbooks.linux.disk_evidence import DiskEvidence

NOT_KNOWN = "not known"
CLEANUP = (
    "host", "mount", "pct_before", "pct_after", "bytes_per_step", "total_freed", "residual_top_consumers", "next_steps",
    "deleted_but_open", "not_listed",
)  # fmt: skip
PRESSURE = ("host", "mount", "used_pct", "trend_5min", "audit_log", "three_next_steps")
AS_ROOT = (
    "as root, by sudo, the exact words of byteport permissions RUNBOOK --format sudoers and nothing else:",
    "list, remove and compress old files in /var/log, /tmp and /var/tmp",
    "journalctl --rotate and --vacuum-*",
    "docker, the package manager: only where the options allow them",
)


def use(e: DiskEvidence) -> str:
    """What speaks for it."""
    return f"{e.fs.mount} ({e.fs.device}, {e.fs.kind}): {pct(e.fs)} used"


def cleanup(story: Story) -> dict[str, Any]:
    """What the contract wants people to have."""
    coordinates = story.evidence.target.coordinates
    return {
        "host": coordinates.get("host", story.evidence.target.key),
        "mount": coordinates.get("mount", "/"),
        "pct_before": pct(system(story, before=True)),
        "pct_after": pct(system(story)),
        "bytes_per_step": bytes_per_step(story),
        "total_freed": in_words(total_freed(story)),
        "residual_top_consumers": largest(story, "top_consumers"),
        "next_steps": next_steps(story),
        "deleted_but_open": deleted(story, "top_consumers"),
        "not_listed": left_out(story),
    }


def pressure(story: Story) -> dict[str, Any]:
    """What the contract of the basic clean-up wants people to have."""
    coordinates = story.evidence.target.coordinates
    trend = story.fact("trend")
    return {
        "host": coordinates.get("host", story.evidence.target.key),
        "mount": coordinates.get("mount", "/"),
        "used_pct": f"{pct(system(story, before=True))} -> {pct(system(story))}",
        "trend_5min": str(trend) if trend is not None else NOT_KNOWN,
        "audit_log": [f"{move}: {told}" for move, told in bytes_per_step(story).items()],
        "three_next_steps": three_steps(story),
        "deleted_but_open": deleted(story, "top_consumers"),
        "not_listed": left_out(story),
    }


def three_steps(story: Story) -> list[str]:
    """What has grown, who holds on, and what keeps it from coming back."""
    found = largest(story, "top_consumers")
    held = deleted(story, "top_consumers")
    return [
        f"Look at what is largest: {found[0]}.",
        f"Restart or reload who keeps deleted files open: {held[0]}."
        if held
        else "Find the process that writes there.",
        "Give it a limit (logrotate, SystemMaxUse=, retention), or the volume more room.",
    ]


def pressure_summary(story: Story) -> dict[str, Any]:
    told, seen = summary(story), system(story)
    coordinates = story.evidence.target.coordinates
    return {
        "host": told["host"],
        "mount": f"{coordinates.get('mount', '/')} at {pct(system(story, before=True))}",
        "action": told["steps"],
        "freed": told["freed"],
        "now_at": pct(seen),
        "link": story.link,
    }


def system(story: Story, *, before: bool = False) -> FileSystem | None:
    evidence = story.evidence
    name = evidence.SYSTEM if isinstance(evidence, DiskEvidence) else ""
    found = story.fact(name, before=before)
    return found if isinstance(found, FileSystem) else None


def pct(seen: FileSystem | None) -> str:
    if seen is None:
        return NOT_KNOWN
    return f"{seen.used_pct:.1f}%" + (f", {seen.inode_used_pct:.1f}% of inodes" if seen.inodes_total else "")


def freed_by_step(story: Story) -> Iterator[tuple[str, int | None, str]]:
    """Each step that was begun: its move, the bytes by which use fell until the next one, and how it ended. Whatever
    else was written or removed meanwhile is a part of that figure."""
    told = story.earlier or story  # who only looks again has freed nothing
    begun = [step for step in told.performed if step.how in ("done", "failed", "unknown", "open")]
    now = system(told)
    levels = [_used(step) for step in begun[1:]] + [now.bytes_used if now is not None else None]
    for step, after in zip(begun, levels, strict=True):
        was = _used(step)
        freed = was - after if was is not None and after is not None else None
        yield step.move, freed, step.how if step.how == "done" else f"{step.how}: {step.note}"


def _used(step: Performed) -> int | None:
    told = step.before.get("bytes_used")
    return told if isinstance(told, int) else None


def bytes_per_step(story: Story) -> dict[str, str]:
    return {
        move: f"{in_words(freed) if freed is not None else NOT_KNOWN} ({how})"
        for move, freed, how in freed_by_step(story)
    }


def total_freed(story: Story) -> int:
    return sum(freed for _, freed, _ in freed_by_step(story) if freed is not None)


def left_out(story: Story) -> list[str]:
    """What could not be listed, and why; a file that was found and may still go is named by its list."""
    evidence = story.evidence
    return [f"{name}: {evidence.why_unknown(name)}" for name in evidence.FIELDS if name in evidence.failures]


def largest(story: Story, name: str) -> list[str]:
    found = story.fact(name)
    if not isinstance(found, Consumers):
        return [NOT_KNOWN]
    return [f"{in_words(one.bytes)} {one.path}" for one in found.folders] + ([found.unread] if found.unread else [])


def deleted(story: Story, name: str) -> list[str]:
    """Files on this file system that no clean-up frees: whoever keeps them open has to let go of them."""
    found = story.fact(name)
    if not isinstance(found, Consumers):
        return []
    seen = system(story)
    here = [one for one in found.deleted if seen is None or one.device in (0, seen.number)]
    return [f"{in_words(one.bytes)} {one.path}: kept open by {one.process} ({one.pid})" for one in here]


def summary(story: Story) -> dict[str, Any]:
    """The fields of the one-line message; a step that freed something is always listed."""
    seen, first = system(story), system(story, before=True)
    coordinates = story.evidence.target.coordinates
    return {
        "host": coordinates.get("host", story.evidence.target.key),
        "mount": f"{coordinates.get('mount', '/')} {pct(first)} -> {pct(seen)}",
        "freed": in_words(total_freed(story)),
        "steps": "; ".join(f"{move} {told}" for move, told in bytes_per_step(story).items()) or "none",
        "link": story.link,
    }


def commands(story: Story) -> tuple[str, ...]:
    """What a person would do next, with this mount's names."""
    coordinates = story.evidence.target.coordinates
    mount = quote(coordinates.get("mount", "/"))
    host = coordinates.get("host", story.evidence.target.key)
    return tuple(
        join(("ssh", host, command))
        for command in (
            f"df -h {mount}; df -i {mount}",
            f"sudo du -xh -d 3 {mount} | sort -h | tail -n 20",
            f"sudo find {mount} -xdev -type f -size +500M -exec ls -lh {{}} +",
            f"sudo lsof -nP +L1 {mount}",
            "journalctl --disk-usage",
        )
    )


def next_steps(story: Story) -> list[str]:
    steps = ["Find what grows: the folders above, then the process that writes there."]
    if deleted(story, "top_consumers") or deleted(story, "top_dirs"):
        steps.append("Restart or reload whoever keeps deleted files open; no clean-up frees them.")
    return [*steps, "Give what grows a limit (logrotate, SystemMaxUse=, retention), or the volume more room."]


def permanent_fix(story: Story) -> str:
    return " ".join(next_steps(story))
