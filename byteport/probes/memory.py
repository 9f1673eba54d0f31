"""Looks at a host's memory and at those who hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from byteport.grammar.evidence import probe, probe_with_options
from byteport.model.facts.memory import Audit, Groups, History, Meminfo, Stall, TopMemory
from byteport.model.facts.system_units import LabelledUnits
from byteport.model.target import Target
from byteport.model.units import minutes, seconds
from byteport.ports import Readers
from byteport.probes.hosts import host_of


@probe(over="host")
def proc_meminfo(target: Target, readers: Readers) -> Meminfo:
    """What of the host's memory can still be had."""
    return readers.memory.meminfo(host_of(target))


@probe(over="host")
def cgroup_stats(target: Target, readers: Readers) -> Groups:
    """What each service's own control group holds."""
    return readers.memory.groups(host_of(target))


@probe(over="host")
def top_rss(target: Target, readers: Readers) -> TopMemory:
    """Who holds the memory."""
    return readers.memory.top(host_of(target))


@probe(over="host")
def pressure_stall(target: Target, readers: Readers) -> Stall | None:
    """How much of the time tasks waited for memory."""
    return readers.memory.stall(host_of(target))


@probe(over="host")
def audit(target: Target, readers: Readers) -> Audit:
    """The largest services' processes, open files and sockets."""
    return readers.memory.audit(host_of(target))


@probe(over="host", timeout=seconds(18))
def safe_label(target: Target, readers: Readers) -> LabelledUnits:
    """Services with X-Byteport-Restart in files that root alone can have written."""
    return readers.system_units.labelled(host_of(target))


@probe_with_options(over="history")
def last_hour(target: Target, readers: Readers, options: Mapping[str, Any]) -> History | None:
    """Who held how much an hour ago."""
    return readers.memory_history.held(host_of(target), minutes(75), str(options.get("historyQuery", "")))
