"""How the page on saturated CPUs tells people."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Any

from byteport.grammar.story import Performed, Story
from byteport.model.facts.processes import CpuUse, Pressure, TopProcesses
from byteport.model.facts.system_units import denied
from byteport.runbooks.linux.cpu_saturation_evidence import CpuEvidence

CONTENT = ("top_cpu_consumers", "vmstat_summary", "priority_changes", "restart_outcome", "suggested_fix")
NOT_KNOWN = "not known"
FIXES = {
    "memory_driven": "what thrashes wants memory. Tune its heap, or give it a higher limit or a bigger host; a lower "
    "limit would only have it killed.",
    "stolen_by_the_hypervisor": "the hypervisor gives the CPUs to others: move the host, or buy CPUs that are its own.",
    "opted_in_consumer": "find out what the service does with the CPUs (a profile, its log since the last release), "
    "and give it a CPUQuota or a CPUWeight for good, or more CPUs.",
    "pod_consumer": "it runs in a pod, which is Kubernetes' to manage: give its container a CPU limit, or its workload "
    "a HorizontalPodAutoscaler; nothing is done about it on the host.",
    "no_opted_in_consumer": "whoever owns it may let BytePort restart it: X-Byteport-Restart=safe in the [Unit] "
    "section of a drop-in. Otherwise give it a CPUQuota or a CPUWeight, or move it.",
}


def use(e: CpuEvidence) -> str:
    """Busy, and of it what was stolen; what waited for disks is not busy."""
    if not e.knows("proc_stat"):
        return "CPU use is not known"
    whole, samples = e.proc_stat.whole, [sample.busy for sample in e.proc_stat.samples]
    span = f"{min(samples):g} to {max(samples):g} in {len(samples)} samples"
    told = f"{whole.busy:g} % busy over {whole.seconds:g} s ({span})"
    return f"{told}, steal {whole.steal:g} %, iowait {whole.iowait:g} %"


def pressure(e: CpuEvidence) -> str:
    return f"{use(e)}; {e.vmstat}"


def heaviest(e: CpuEvidence) -> str:
    """What the CPUs do, and who uses most of them."""
    lines = list(_lines(e.top_cpu))
    return f"{use(e)}; {lines[0] if lines else 'no process stands out'}"


def _lines(top: TopProcesses) -> Iterator[str]:
    for one in top.processes:
        name = one.name if one.name in one.command else f"{one.name} ({one.command})"
        yield f"{one.percent:g} % {name}, pid {one.pid}, {one.user or NOT_KNOWN}, {one.owner}"


def anew(story: Story) -> str:
    """The third time in 24 h is told also within the hour."""
    evidence = story.evidence
    known = isinstance(evidence, CpuEvidence) and evidence.before.knows("earlier")
    return "repeated" if known and evidence.is_repeated() else ""  # type: ignore[attr-defined]


def summary(story: Story) -> dict[str, Any]:
    cpu, top = story.fact("proc_stat"), story.fact("top_cpu")
    lines = list(_lines(top)) if isinstance(top, TopProcesses) else []
    return {
        "host": story.evidence.target.key,
        "avg_cpu": f"{cpu.whole.busy:g} %" if isinstance(cpu, CpuUse) else NOT_KNOWN,
        "top_process": lines[0] if lines else NOT_KNOWN,
        "action": "; ".join(map(_step, story.performed)) or "nothing was written",
        "link": story.link,
    }


def bundle(story: Story) -> dict[str, Any]:
    cpu, top, seen = story.fact("proc_stat"), story.fact("top_cpu"), story.fact("vmstat")
    earlier = story.fact("earlier", before=True) or ()
    return {
        "top_cpu_consumers": list(_lines(top)) if isinstance(top, TopProcesses) else NOT_KNOWN,
        "vmstat_summary": str(seen) if isinstance(seen, Pressure) else NOT_KNOWN,
        "priority_changes": [_step(step) for step in story.of("demote")] or "none",
        "restart_outcome": "; ".join(map(_step, story.of("restart"))) or "not restarted",
        "suggested_fix": permanent_fix(story),
        "cpu": [sample.model_dump() for sample in cpu.samples] if isinstance(cpu, CpuUse) else NOT_KNOWN,
        "before_and_after": list(_before_and_after(story)),
        "unread": list(top.unread) if isinstance(top, TopProcesses) else [],
        "saturated_before_in_24h": [f"{one.at:%Y-%m-%d %H:%M} {one.name} ({one.incident})" for one in earlier],
    }


def _step(step: Performed) -> str:
    told = step.effect.note if step.effect is not None and step.effect.note else step.note
    return f"{step.move}: {step.how}" + (f" ({told})" if told else "")


def _before_and_after(story: Story) -> Iterator[str]:
    for word, before in (("before", True), ("now", False)):
        told = story.fact("cpu_now", before=before)
        if isinstance(told, TopProcesses):
            yield f"{word}: {told.use.busy:g} % busy; {next(_lines(told), 'no process stands out')}"
    yield from (f"{step.move} of {step.action.subject}, which was {step.before}" for step in story.performed)


def commands(story: Story) -> tuple[str, ...]:
    """What a person would type. ps counts since a process began and vmstat's first line since the boot, so top's second
    picture comes first."""
    top, host = story.fact("top_cpu"), getattr(story.evidence, "host", "") or story.evidence.target.key
    seen = top.processes if isinstance(top, TopProcesses) else ()
    told = ["top -b -d 5 -n 2 -o %CPU | head -40", "vmstat 1 5", "ps aux --sort=-%cpu | head -10"]
    for unit in dict.fromkeys(one.unit for one in seen[:3] if one.unit and not denied(one.unit, one.name)):
        told += [
            f"systemctl status {quote(unit)}",
            f"sudo systemctl set-property --runtime {quote(unit)} CPUWeight=20",
            f"sudo systemctl restart {quote(unit)}",
        ]
    for step in story.of("demote"):
        unit = getattr(step.action, "unit", "")
        if unit and step.how in ("done", "unknown", "open"):  # it lasts until the next boot where it is not given back
            told.append(f"sudo systemctl set-property --runtime {quote(unit)} CPUWeight=")
    loose = [one.pid for one in seen[:1] if not one.unit and not one.pod]
    told += [f"sudo renice -n 10 -p {pid}" for pid in loose] + ["sleep 120 && vmstat 1 3"]
    pods = ("kubectl get pods -A -l 'byteport.restart=safe' -o wide",) if any(one.pod for one in seen) else ()
    return (*(f"ssh {quote(host)} {quote(one)}" for one in told), *pods)


def permanent_fix(story: Story) -> str:
    name = story.diagnosis.name if story.diagnosis else ""
    return FIXES.get(name, "Nothing about it is known here: look at the host with top.")
