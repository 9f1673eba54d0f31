"""How the page on kills for want of memory tells people. Only the place of a heap dump is told; it stays there."""

from __future__ import annotations

from shlex import quote
from typing import Any

from byteport.errors import NotKnown
from byteport.grammar.story import Story
from byteport.model.facts.memory import Group, KernelLines, Meminfo, TopMemory, in_words
from byteport.runbooks.linux import memory_series as series
from byteport.runbooks.linux.memory_oom_evidence import OomEvidence
from byteport.runbooks.linux.memory_oom_plans import heap_proposal, no_capture
from byteport.runbooks.linux.memory_pressure_story import NOT_KNOWN, consumers, restart_result

CONTENT = (
    "service", "classification", "confidence", "heap_snapshot_path", "cgroup_limit", "cgroup_usage", "top5_rss",
    "node_state", "action_taken_or_blocked", "dmesg_oom_log", "diagnostic_bundle", "classification_rationale",
)  # fmt: skip
FIXES = {
    "runtime_misconfig": "Set the heap below the limit: a restart only lets it grow past it again.",
    "noisy_neighbor": "Give the neighbor a MemoryMax= of its own, or move one of the two to another host.",
    "traffic_spike": "Give the service room for its peaks, or more than one instance.",
    "memory_leak": "Take the heap dumps of two moments and compare what has grown between them.",
    "undersized_limit": "Put the proposed limit into the unit file, and look again after a week.",
}


def heap(e: OomEvidence) -> str:
    return heap_proposal(e)


def neighbor(e: OomEvidence) -> str:
    return f"{e.neighbor} holds most; {e.proc_meminfo}"


def traffic(e: OomEvidence) -> str:
    close = series.goes_with(e.points, e.request_rate.points) if e.request_rate is not None else None
    return f"memory and requests go together at {close or 0:.2f} (from 0.80)"


def leak(e: OomEvidence) -> str:
    points = e.points
    lasted = (points[-1][0] - points[0][0]).total_seconds() / 3600
    known = "does not go with the requests" if e.request_rate is not None else "no request rate is configured"
    return f"{in_words(points[0][1])} to {in_words(points[-1][1])} in {lasted:.1f} h, {known}"


def plateau(e: OomEvidence) -> str:
    return f"p99 of use {in_words(series.p99(e.points))} of {in_words(e.limit)}, steady"


def elsewhere(e: OomEvidence) -> str:
    return f"it runs on {e.runtime_env.platform}, where BytePort does not act yet"


def group_of(story: Story, before: bool = False) -> Group | None:
    found = story.fact("cgroup_memory_stat", before)
    return found if isinstance(found, Group) else None


def anew(story: Story) -> str:
    """Each further kill is told again inside the hour, and so is a loop of restarts."""
    group = group_of(story)
    loop = "restarts used up" if story.reason.startswith("service_restarts") else ""
    return " ".join(part for part in (f"kills {group.oom_kills}" if group and group.oom_kills else "", loop) if part)


def summary(story: Story) -> dict[str, Any]:
    before, after = group_of(story, before=True), group_of(story)
    ended = (story.evidence.looked_at - story.evidence.acted_at) if story.evidence.acted_at is not None else None
    return {
        "service": story.evidence.target.key,
        "class": story.diagnosis.name if story.diagnosis else NOT_KNOWN,
        "confidence": story.diagnosis.confidence / 100 if story.diagnosis else NOT_KNOWN,
        "action": restart_result(story),
        "rss_before": in_words(before.anon) if before is not None else NOT_KNOWN,
        "rss_after": in_words(after.anon) if after is not None and story.performed else "nothing was restarted",
        "resolved_in": f"{ended.total_seconds():.0f} s" if ended is not None else None,
        "link": story.link,
    }


def bundle(story: Story) -> dict[str, Any]:
    group, meminfo, log = group_of(story), story.fact("proc_meminfo"), story.fact("oom_log")
    listed = consumers(story.fact("top_rss", before=True))
    return {
        "service": story.evidence.target.key,
        "heap_snapshot_path": _snapshot(story),
        "cgroup_limit": NOT_KNOWN if group is None else in_words(group.limit) if group.limit else "none",
        "cgroup_usage": _usage(group),
        "top5_rss": listed[:5] if isinstance(listed, list) else listed,
        "node_state": str(meminfo) if isinstance(meminfo, Meminfo) else NOT_KNOWN,
        "action_taken_or_blocked": restart_result(story) if story.performed else story.reason or NOT_KNOWN,
        "dmesg_oom_log": (list(log.lines) or [log.why or "nothing"]) if isinstance(log, KernelLines) else NOT_KNOWN,
        "diagnostic_bundle": _diagnostics(story),
        "classification_rationale": story.diagnosis.because if story.diagnosis else NOT_KNOWN,
        "error_rate": "not measured: no source is configured for hosts",
    }


def _usage(group: Group | None) -> str:
    if group is None:
        return NOT_KNOWN
    kills = "kills are not counted" if group.oom_kills is None else f"{group.oom_kills} kills"
    held = f"{in_words(group.working_set)} working set of {in_words(group.current)}"
    return f"{held}, {kills} ({group.path}, v{group.version})"


def _diagnostics(story: Story) -> dict[str, Any]:
    runtime, top = story.fact("runtime"), story.fact("top_rss")
    return {
        "runtime": runtime.model_dump(mode="json") if runtime is not None else NOT_KNOWN,
        "processes": [f"{one.pid} {one.name} {in_words(one.rss)}" for one in top.processes[:10]]
        if isinstance(top, TopMemory)
        else NOT_KNOWN,
    }


def _snapshot(story: Story) -> str:
    """The place of the dump, or why there is none."""
    for step in story.of("capture_heap"):
        return step.effect.note if step.how == "done" and step.effect is not None else f"{step.how}: {step.note}"
    evidence = story.evidence.before
    try:
        return f"none: {no_capture(evidence)}" if isinstance(evidence, OomEvidence) else NOT_KNOWN
    except NotKnown as gap:
        return f"none: {gap}"


def commands(story: Story) -> tuple[str, ...]:
    """What a person would type, with this incident's names."""
    evidence, group = story.evidence, group_of(story)
    if not isinstance(evidence, OomEvidence):
        return ()
    unit, path = quote(evidence.unit), group.path if group is not None else "/system.slice/UNIT.service"
    root = "/sys/fs/cgroup" if group is None or group.version == 2 else "/sys/fs/cgroup/memory"
    files = "memory.current memory.max memory.events" if root == "/sys/fs/cgroup" else (
        "memory.usage_in_bytes memory.limit_in_bytes memory.oom_control"
    )  # fmt: skip
    told = (
        " ".join(["grep", "-H", ".", *(quote(f"{root}{path}/{file}") for file in files.split())]),
        "ps -eo pid,rss,unit,args --sort=-rss | head",
        "journalctl -k --since=-2h | grep -iE 'out of memory|oom-kill'",
        f"systemctl show --property=MemoryMax,NRestarts,Result -- {unit}",
        f"sudo systemctl restart -- {unit}",
    )
    return tuple(f"ssh {quote(evidence.host)} {quote(line)}" for line in told)


def permanent_fix(story: Story) -> str:
    name = story.diagnosis.name if story.diagnosis else ""
    return FIXES.get(name, "No cause was proven: let it be looked at for two hours (pollers.vitals, or historyQuery).")
