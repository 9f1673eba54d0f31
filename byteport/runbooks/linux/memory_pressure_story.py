"""How the page on a host's memory tells people: reasons, the bundle, commands, what to mend for good."""

from __future__ import annotations

from shlex import quote
from typing import Any

from byteport.errors import NotKnown
from byteport.grammar.story import Story
from byteport.model.facts.memory import Audit, Group, Meminfo, Stall, TopMemory, in_words
from byteport.runbooks.linux.memory_growth import Growth
from byteport.runbooks.linux.memory_pressure_evidence import STALLED_PCT, MemoryEvidence

CONTENT = (
    "host", "top_memory_consumers", "swap_pressure", "restart_result", "audit_before", "audit_after", "cgroup_path",
    "rss", "suggested_memory_request", "suggested_memory_limit", "memory_baseline_after_restart",
)  # fmt: skip
NOT_KNOWN = "not known"
HEADROOM, REQUEST = 1.5, 1.2
FIXES = {
    "leaking_service": "It grows until it is restarted: take a heap profile of it while it grows, mend the leak, and "
    "give the service a MemoryMax= so that it alone is ended by it.",
    "no_leak_known": "Nobody grew like a leak: compare what the host's services need together with what it has, and "
    "move one of them or give it more memory.",
    "tight_without_stalls": "Nothing waits for memory yet. Watch it, or set mem_threshold_pct to what this host bears.",
}
NOBODY_LOOKED = (
    "Let pollers.vitals look at this host, or set historyQuery: without a memory of the last hour nobody can tell what "
    "has grown."
)


def use(e: MemoryEvidence) -> str:
    seen = e.proc_meminfo
    cache = f"; {seen.not_free_pct:.1f} % with page cache, which can be had" if seen.not_free_pct > e.trigger else ""
    return f"{seen}{cache}"


def stalls(e: MemoryEvidence) -> str:
    waits = e.pressure_stall.some_avg60 if e.pressure_stall is not None else 0.0
    return f"{use(e)}; tasks waited for memory in {waits:g} % of the last minute, not in more than {STALLED_PCT} %"


def grown(e: MemoryEvidence) -> str:
    return f"{e.leak}; {use(e)}"


def nobody(e: MemoryEvidence) -> str:
    """Who grew most, and that it is no leak."""
    largest = _largest(e)
    most = ", ".join(map(str, e.top_rss.consumers[:3]))
    return f"{use(e)}; {f'at most {largest}, which is no leak' if largest else 'nobody grew'}; it holds {most}"


def _largest(e: MemoryEvidence) -> Growth | None:
    try:
        return e.growths.largest
    except NotKnown:
        return None


def anew(story: Story) -> str:
    """Another process is another matter, and so is a loop of restarts."""
    loop = "crash loop" if story.reason.startswith("crash_loop_guard") else ""
    return " ".join(part for part in (_unit(story), loop) if part)


def summary(story: Story) -> dict[str, Any]:
    meminfo, top = story.fact("proc_meminfo", before=True), story.fact("top_rss", before=True)
    unit = _unit(story)
    found = top.of(unit) if isinstance(top, TopMemory) and unit else None
    return {
        "host": story.evidence.target.key,
        "memory": str(meminfo) if isinstance(meminfo, Meminfo) else NOT_KNOWN,
        "leak": str(found) if found is not None else unit or "nobody known",
        "action": restart_result(story),
        "link": story.link,
    }


def bundle(story: Story) -> dict[str, Any]:
    unit = _unit(story)
    return {
        "host": story.evidence.target.key,
        "top_memory_consumers": consumers(story.fact("top_rss", before=True)),
        "swap_pressure": swap(story),
        "restart_result": restart_result(story),
        "audit_before": audit_in_words(story.fact("audit", before=True), unit),
        "audit_after": audit_in_words(story.fact("audit"), unit) if story.performed else "nothing was restarted",
        **_of_the_service(story, unit),
        "memory_baseline_after_restart": _baseline(story, unit),
    }


def _of_the_service(story: Story, unit: str) -> dict[str, Any]:
    """What an issue about it needs: where it lives, and what it should be given."""
    top, groups, leak = story.fact("top_rss", before=True), story.fact("cgroup_stats", before=True), _leak(story)
    found = top.of(unit) if isinstance(top, TopMemory) else None
    group: Group | None = groups.groups.get(unit) if groups is not None else None
    return {
        "cgroup_path": group.path if group is not None else found.group if found is not None else NOT_KNOWN,
        "rss": in_words(found.rss) if found is not None else NOT_KNOWN,
        "suggested_memory_request": in_words(leak.before * REQUEST) if leak is not None else NOT_KNOWN,
        "suggested_memory_limit": in_words(leak.before * HEADROOM) if leak is not None else NOT_KNOWN,
    }


def _baseline(story: Story, unit: str) -> str:
    done = any(step.how == "done" for step in story.of("restart"))
    top, meminfo = story.fact("top_rss"), story.fact("proc_meminfo")
    if not done or not isinstance(top, TopMemory) or not isinstance(meminfo, Meminfo):
        return "nothing was restarted" if not done else NOT_KNOWN
    return f"{top.of(unit) or f'{unit}: gone'}; {meminfo}"


def consumers(top: object) -> list[str] | str:
    if not isinstance(top, TopMemory):
        return NOT_KNOWN
    return [f"{one}, {one.processes} processes" for one in top.consumers[:10]]


def swap(story: Story) -> str:
    meminfo, stall = story.fact("proc_meminfo"), story.fact("pressure_stall")
    if not isinstance(meminfo, Meminfo):
        return NOT_KNOWN
    used = "no swap" if not meminfo.swap_total else f"{in_words(meminfo.swap_used)} of {in_words(meminfo.swap_total)}"
    waits = f"PSI some avg60 {stall.some_avg60:g} %" if isinstance(stall, Stall) else "PSI is not counted here"
    faults = f"{meminfo.major_faults} major faults since the boot" if meminfo.major_faults is not None else ""
    return "; ".join(part for part in (used, waits, faults) if part)


def restart_result(story: Story) -> str:
    told = [f"{step.action.subject}: {step.how}{f', {step.note}' if step.note else ''}" for step in story.performed]
    return "; ".join(told) or "nothing was restarted"


def audit_in_words(audit: object, unit: str) -> list[str] | str:
    """The process tree with what each has open; what is missing is said."""
    if not isinstance(audit, Audit):
        return "missing: it could not be captured in 10 s"
    tree = [
        f"{one.pid} (parent {one.parent}) {one.name}: {in_words(one.rss)}, "
        f"{_or_unseen(one.files)} files, {_or_unseen(one.sockets)} sockets"
        for one in audit.of(unit)[:50]
    ]
    in_use = f"{_or_unseen(audit.sockets_in_use)} sockets in use on the host"
    return [audit.in_words(unit), *tree, in_use, *audit.lacks]


def _or_unseen(number: int | None) -> str:
    return "unseen" if number is None else str(number)


def commands(story: Story) -> tuple[str, ...]:
    """What a person would type, with this incident's names."""
    unit, host, leak = _unit(story), story.evidence.target.key, _leak(story)
    named = quote(unit or "UNIT.service")
    high = f"{int(leak.before * REQUEST) >> 20}M" if leak is not None else "SIZE"
    told = (
        "grep -E 'MemTotal|MemAvailable|MemFree|SwapFree' /proc/meminfo; cat /proc/pressure/memory",
        "ps -eo pid,ppid,rss,user,unit,args --sort=-rss | head",
        f"systemctl show --property=ControlGroup,MemoryCurrent,MemoryMax,NRestarts -- {named}",
        f"sudo systemctl set-property --runtime -- {named} MemoryHigh={high}",
        f"sudo systemctl restart -- {named}",
    )
    return tuple(f"ssh {quote(host)} {quote(line)}" for line in told)


def permanent_fix(story: Story) -> str:
    name = story.diagnosis.name if story.diagnosis else ""
    return FIXES.get(name, NOBODY_LOOKED)


def _unit(story: Story) -> str:
    """The service that was, or would have been, restarted; else who grew most."""
    acted = [step.action.unit for step in story.of("restart") if hasattr(step.action, "unit")]
    leak = _leak(story)
    return acted[0] if acted else leak.consumer.key if leak is not None else ""


def _leak(story: Story) -> Growth | None:
    before = story.evidence.before
    try:
        return before.leak if isinstance(before, MemoryEvidence) else None
    except NotKnown:
        return None
