"""What each cause of a kill for want of memory calls for. Proposals are words, and nothing applies them."""

from __future__ import annotations

import re

from byteport.actions.heap import CaptureHeap
from byteport.grammar.plan import Plan, Step
from byteport.model.facts.memory import in_words
from byteport.model.facts.runtimes import RuntimeHints
from byteport.model.facts.system_units import denied
from byteport.runbooks.linux import memory_series as series
from byteport.runbooks.linux.memory_oom_evidence import OomEvidence
from byteport.runbooks.linux.memory_oom_guards import multiplier, not_allowed

ROOM, MOST_PCT = 1.5, 97
USR1 = re.compile(r"(?:^|[^A-Za-z0-9])(?:SIG)?USR1(?:$|[^A-Za-z0-9])|^-10$")


def left(reason: str, *, withheld: bool = False) -> Plan:
    return Plan(end="escalate", reason=reason, withheld=withheld)


def propose_heap(e: OomEvidence) -> Plan:
    """A quarter of the limit stays outside of the heap."""
    return left(f"proposed, not applied: {heap_proposal(e)}")


def heap_proposal(e: OomEvidence) -> str:
    told = e.runtime
    if told is None or told.heap is None:
        return "no heap is known"
    fits = int(e.limit * (1 - float(e.options.get("heap_headroom_pct", 25)) / 100)) >> 20
    how = f"-Xmx{fits}m" if told.kind == "jvm" else f"--max-old-space-size={fits}"
    return f"{how} instead of {told.source} ({in_words(told.heap)} heap, {in_words(e.limit)} limit)"


def name_the_neighbor(e: OomEvidence) -> Plan:
    """Isolating a node's pods is for Kubernetes; on a host nobody is moved."""
    return left(f"{e.neighbor} holds most of the host's memory while {e.unit} stays within its limit")


def compute_limit(e: OomEvidence) -> Plan:
    """Raising a limit in the middle of a peak is for a person on a host: the value is computed."""
    group = e.cgroup_memory_stat
    if group is None or group.limit is None:
        return left("it goes with the traffic, and has no limit of its own: the host needs more memory")
    cap = multiplier(e.options)
    to = min(int(group.limit * ROOM), int(group.limit * cap), int(e.proc_meminfo.total * 0.8))
    if to <= group.limit:
        return left(f"it goes with the traffic, and {in_words(group.limit)} is already the most that it may be given")
    return left(f"it goes with the traffic: computed, not applied: MemoryMax={to >> 20}M ({in_words(group.limit)} now)")


def propose_limit(e: OomEvidence) -> Plan:
    return left(f"proposed, not applied: {limit_proposal(e)}")


def limit_proposal(e: OomEvidence) -> str:
    """p99 of use, and half of that again."""
    high, group = series.p99(e.points), e.cgroup_memory_stat
    now = in_words(group.limit) if group is not None and group.limit is not None else "none"
    factor = float(e.options.get("pr_limit_factor", 1.5))
    return f"MemoryMax={int(high * factor) >> 20}M in its unit file (p99 of use {in_words(high)}, {now} now)"


def kept_from_restart(e: OomEvidence) -> str:
    """Why that service is not restarted; empty where it may be."""
    found = e.consumer_kind
    if found is None:
        return f"{e.unit} is no system service that could be restarted"
    if why := denied(e.unit, found.command) or not_allowed(e):
        return why
    return "" if found.is_opted_in else found.why or f"{e.unit} does not carry byteport.restart=safe"


def no_capture(e: OomEvidence) -> str:
    """Why no heap is captured; empty where the operator's command may run. Never a signal by default: SIGUSR1 ends most
    processes, and opens a debugger's port in Node.js."""
    words, told = tuple(map(str, e.options.get("heapDumpCommand") or ())), e.runtime if e.knows("runtime") else None
    if not words:
        return "heapDumpCommand is not configured"
    if any(USR1.search(word) for word in words):
        return "heapDumpCommand would send SIGUSR1, which is never sent"
    if told is None or told.kind == "other":
        return "its runtime is none whose heap can be captured"
    if told.kind == "node":
        return (
            "" if told.snapshots else "Node.js was not started with --heapsnapshot-signal=SIGUSR2, or does not catch it"
        )
    return _no_dump(e, told)


def _no_dump(e: OomEvidence, told: RuntimeHints) -> str:
    """A dump stops the JVM and is about as large as its heap."""
    heap = e.jvm_heap_info if e.knows("jvm_heap_info") else None
    group = e.cgroup_memory_stat
    used = heap.used if heap is not None else group.anon if group is not None else None
    if used is None or told.dump_free is None:
        return "what is free in heapDumpFolder, or how much of the heap is used, is not known"
    if told.dump_free < ROOM * used:
        return f"only {in_words(told.dump_free)} are free in heapDumpFolder, for {in_words(used)} of heap"
    full = 100 * e.share >= MOST_PCT or e.proc_meminfo.used_pct >= MOST_PCT
    return f"{MOST_PCT} % of its memory are in use: a dump would be the end of it" if full else ""


def capture(e: OomEvidence, step: Step) -> tuple[Step, ...]:
    """The step, where it may be; a capture that fails keeps nothing else from being tried."""
    return () if no_capture(e) else (step,)


def capture_of(e: OomEvidence) -> CaptureHeap:
    return CaptureHeap(
        host=e.host, unit=e.unit, group=e.inventory.group,
        argv=tuple(map(str, e.options.get("heapDumpCommand") or ("/bin/true",))),
        folder=str(e.options.get("heapDumpFolder", "")),
    )  # fmt: skip
