"""Looks at a service that is short of memory, or was killed for it: NAME@HOST, or a control group's name at a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from byteport.grammar.evidence import probe, probe_with_options
from byteport.model.facts.memory import Group, History, KernelLines, Samples
from byteport.model.facts.runtimes import HeapInfo, RuntimeHints
from byteport.model.target import Target
from byteport.model.units import minutes
from byteport.ports import Readers
from byteport.probes.hosts import host_of
from byteport.probes.services import unit_of

HOURS = minutes(190)


def names_of(target: Target) -> tuple[str, ...]:
    """By which its control group is looked for: as it stands, and as a service."""
    name = target.key.rpartition("@")[0] or target.key
    return tuple(dict.fromkeys((unit_of(target), name)))


@probe(over="host")
def cgroup_memory_stat(target: Target, readers: Readers) -> Group | None:
    """What the service's own control group holds, may hold, and how often it was killed in."""
    found = (readers.memory.group(host_of(target), name) for name in names_of(target))
    return next((group for group in found if group is not None), None)


@probe(over="host")
def oom_log(target: Target, readers: Readers) -> KernelLines:
    """What the kernel wrote about kills; it supports, and decides nothing."""
    return readers.memory.kernel(host_of(target))


@probe_with_options(over="host")
def runtime_hints(target: Target, readers: Readers, options: Mapping[str, Any]) -> RuntimeHints | None:
    """How large the runtime's heap may grow."""
    folder = str(options.get("heapDumpFolder", ""))
    found = (readers.runtimes.runtime(host_of(target), name, folder) for name in names_of(target))
    return next((hints for hints in found if hints is not None), None)


@probe(over="host")
def jvm_heap_info(target: Target, readers: Readers) -> HeapInfo | None:
    """A JVM's own word on its heap."""
    found = (readers.runtimes.heap(host_of(target), name) for name in names_of(target))
    return next((heap for heap in found if heap is not None), None)


@probe_with_options(over="history")
def rss_history(target: Target, readers: Readers, options: Mapping[str, Any]) -> History | None:
    """What was held over the last three hours."""
    return readers.memory_history.held(host_of(target), HOURS, str(options.get("historyQuery", "")))


@probe_with_options(over="history")
def request_rate(_target: Target, readers: Readers, options: Mapping[str, Any]) -> Samples | None:
    """Requests over the same three hours."""
    return readers.memory_history.rate(HOURS, str(options.get("requestRateQuery", "")))


@probe(over="host")
def limit_vs_usage(_target: Target, _readers: Readers) -> None:
    """A pod's limit against its use; of a host's service there is none."""


@probe(over="host")
def k8s_events(_target: Target, _readers: Readers) -> None:
    """Events of a workload; of a host's service there are none."""


@probe_with_options(over="host")
def node_heap_endpoint(_target: Target, _readers: Readers, options: Mapping[str, Any]) -> bool:
    """Whether people have named a command that has the application write a snapshot."""
    return bool(options.get("heapDumpCommand"))
