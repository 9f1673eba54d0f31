"""How the page on recovering memory by a restart tells people: reasons, the bundle, commands, what to mend for good."""

from __future__ import annotations

from shlex import quote
from typing import Any

from byteport.grammar.story import Story
from byteport.model.facts.memory import Meminfo, TopMemory
from byteport.model.facts.services import Release, Restarts, Runtime
from byteport.runbooks.linux.memory_auto_recover_evidence import RecoverEvidence
from byteport.runbooks.linux.memory_pressure_story import NOT_KNOWN, audit_in_words, consumers, restart_result

CONTENT = (
    "top5_memory_table", "restart_history", "crash_loop_count", "deploy_correlation", "leak_signature", "runtime_env",
)  # fmt: skip
HOW = {
    "render": 'curl -X POST -H "Authorization: Bearer $RENDER_API_KEY" https://api.render.com/v1/services/SERVICE/restart',
    "kubernetes": "kubectl -n NAMESPACE rollout restart deployment/NAME",
}
FIXES = {
    "managed_consumer": "A restart gives back what it holds, and not why: take a heap profile before the next one, and "
    "give the service a MemoryMax= so that it cannot take the host along.",
    "just_released": "Look at what the release changed; roll it back by the way it was released, if it is the cause.",
    "crash_loop": "It comes back as it was: find out what it holds, or give it the memory it needs.",
    "unmanaged_consumer": "Label it (X-Byteport-Restart=safe) or list it in restartAllowed, if a restart is safe.",
}


def use(e: RecoverEvidence) -> str:
    return str(e.proc_meminfo)


def largest(e: RecoverEvidence) -> str:
    return f"{e.top_memory.consumers[0]} holds most; {use(e)}"


def released(e: RecoverEvidence) -> str:
    return str(e.recent_deploys)


def history(e: RecoverEvidence) -> str:
    told, minutes = e.restart_history, e.window_seconds / 60
    by_whom = f"{told.automatic} by systemd, {len(told.ours)} by BytePort in the hour"
    return f"{e.loops} restarts in {minutes:g} min ({by_whom})"


def elsewhere(e: RecoverEvidence) -> str:
    told = e.runtime_env
    return f"it runs on {told.platform}{f': {told.why}' if told.why else ''}"


def why_left(e: RecoverEvidence) -> str:
    """Where it does not run on systemd, how a person restarts it; else who holds the memory instead."""
    told = e.runtime_env
    if told.platform == "unknown":
        return f"no way to restart it is known: {told.why}"
    if told.platform != "systemd":
        lacks = "" if e.has_credentials() else "; renderServiceId is not set"
        return f"not restarted on {told.platform}, which BytePort does not do yet{lacks}: {HOW[told.platform]}"
    return f"{e.top_memory.consumers[0]} holds most of the memory, and not {e.unit}"


def is_a_loop(story: Story) -> bool:
    return story.reason.startswith(("crash_loop_guard", "no_loop")) or (
        story.diagnosis is not None and story.diagnosis.name == "crash_loop"
    )


def anew(story: Story) -> str:
    """A loop of restarts is another matter than an ordinary notice."""
    return "crash loop" if is_a_loop(story) else ""


def summary(story: Story) -> dict[str, Any]:
    before, after = story.fact("proc_meminfo", before=True), story.fact("proc_meminfo")
    top = story.fact("top_memory", before=True)
    ttr = (story.evidence.looked_at - story.evidence.acted_at) if story.evidence.acted_at is not None else None
    return {
        "host": story.evidence.host if isinstance(story.evidence, RecoverEvidence) else story.evidence.target.key,
        "usage_before": _use(before),
        "usage_after": _use(after) if story.performed else "nothing was restarted",
        "top_consumer": str(top.consumers[0]) if isinstance(top, TopMemory) else NOT_KNOWN,
        "action": restart_result(story),
        "ttr_seconds": round(ttr.total_seconds()) if ttr is not None else None,
        "link": story.link,
    }


def _use(meminfo: object) -> str:
    return f"{meminfo.used_pct:.1f} %" if isinstance(meminfo, Meminfo) else NOT_KNOWN


def bundle(story: Story) -> dict[str, Any]:
    evidence, told = story.evidence, story.fact("restart_history")
    deploy, runtime = story.fact("recent_deploys"), story.fact("runtime_env")
    e = evidence if isinstance(evidence, RecoverEvidence) else None
    listed = consumers(story.fact("top_memory", before=True))
    unit = e.unit if e is not None else ""
    return {
        "top5_memory_table": listed[:5] if isinstance(listed, list) else listed,
        "restart_history": _restarts(told) if isinstance(told, Restarts) else NOT_KNOWN,
        "crash_loop_count": e.loops if e is not None and isinstance(told, Restarts) else NOT_KNOWN,
        "deploy_correlation": str(deploy) if isinstance(deploy, Release) else NOT_KNOWN,
        "leak_signature": _leak(story, unit),
        "runtime_env": runtime.platform if isinstance(runtime, Runtime) else NOT_KNOWN,
        "audit_before": audit_in_words(story.fact("audit", before=True), unit),
        "crash_loop": is_a_loop(story),
    }


def _restarts(told: Restarts) -> list[str]:
    ours = [f"{one.at:%Y-%m-%d %H:%M:%S} by BytePort ({one.runbook})" for one in told.ours]
    return [f"{told.automatic} by its service manager, up for {told.up_seconds or 0:.0f} s", *ours]


def _leak(story: Story, unit: str) -> str:
    """What it held before and what it holds now: a leak starts again from little, a large need does not."""
    before, after = story.fact("top_memory", before=True), story.fact("top_memory")
    if not isinstance(before, TopMemory) or not isinstance(after, TopMemory) or not story.performed:
        return NOT_KNOWN
    return f"{before.of(unit) or 'not there'} before, {after.of(unit) or 'not there'} after the restart"


def commands(story: Story) -> tuple[str, ...]:
    """What a person would type, with this incident's names."""
    evidence, runtime = story.evidence, story.fact("runtime_env")
    if isinstance(runtime, Runtime) and runtime.platform in HOW:
        return (HOW[runtime.platform].replace("SERVICE", quote(runtime.service or "SERVICE")),)
    if not isinstance(evidence, RecoverEvidence):
        return ()
    unit, host = quote(evidence.unit), quote(evidence.host)
    told = (
        "ps -eo pid,rss,unit,args --sort=-rss | head -6",
        f"systemctl status -- {unit}",
        f"journalctl --unit={unit} --since=-1h",
        f"sudo systemctl restart -- {unit}",
    )
    return tuple(f"ssh {host} {quote(line)}" for line in told)


def permanent_fix(story: Story) -> str:
    name = story.diagnosis.name if story.diagnosis else ""
    return FIXES.get(name, "Give the host's services limits (MemoryMax=) that fit together into its memory.")
