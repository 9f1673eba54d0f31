"""Looks at who uses a host's CPUs, and at which of its services may be restarted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from byteport.grammar.evidence import probe, probe_with_options
from byteport.model.facts.application import PastDiagnosis
from byteport.model.facts.hosts import HostInventory
from byteport.model.facts.processes import CpuUse, Pressure, TopProcesses
from byteport.model.facts.system_units import LabelledUnits
from byteport.model.target import Target
from byteport.model.units import hours, seconds
from byteport.ports import Readers
from byteport.probes.hosts import host_of

HOST = "host"
SUSTAIN = "cpu_sustain_sec"
EVERY = seconds(5)
GLANCE = seconds(5)
SLOW = seconds(60)
CPU_PAGE = "cpu_saturation"
SATURATED = (
    "memory_driven", "stolen_by_the_hypervisor", "opted_in_consumer", "pod_consumer", "no_opted_in_consumer",
)  # fmt: skip


def one_look(options: Mapping[str, Any]) -> timedelta:
    """Half of what must be shown: a look occupies a worker, and two of them in a row show the whole."""
    return timedelta(seconds=float(options[SUSTAIN]) / 2)


def apart(options: Mapping[str, Any]) -> timedelta:
    """Five seconds; of a short look every second."""
    return EVERY if one_look(options) >= 2 * EVERY else seconds(1)


@probe_with_options(over=HOST, timeout=SLOW)
def proc_stat(target: Target, readers: Readers, options: Mapping[str, Any]) -> CpuUse:
    """CPU time of the whole host, read every 5 s, for half of the time that it must be saturated."""
    return readers.processes.cpu(host_of(target), one_look(options), apart(options))


@probe_with_options(over=HOST, timeout=SLOW)
def top_cpu(target: Target, readers: Readers, options: Mapping[str, Any]) -> TopProcesses:
    """The five processes that used most CPU time over the same while, and the services they belong to."""
    return readers.processes.top(host_of(target), one_look(options))


@probe(over=HOST, timeout=seconds(16))
def vmstat(target: Target, readers: Readers) -> Pressure:
    """Run queue and swap activity over five seconds."""
    return readers.processes.pressure(host_of(target))


@probe(over=HOST, timeout=seconds(16))
def cpu_now(target: Target, readers: Readers) -> TopProcesses:
    """CPU use and its heaviest processes over five seconds."""
    return readers.processes.top(host_of(target), GLANCE)


@probe(over=HOST, timeout=seconds(18))
def safe_label(target: Target, readers: Readers) -> LabelledUnits:
    """Services with X-Byteport-Restart in files that root alone can have written."""
    return readers.system_units.labelled(host_of(target))


@probe(over=HOST)
def optout(target: Target, readers: Readers) -> HostInventory:
    """Whether the host's own file opts out."""
    return readers.inventories.inventory(host_of(target))


@probe(over="ledger")
def earlier_saturations(target: Target, readers: Readers) -> tuple[PastDiagnosis, ...]:
    """Incidents of the last 24 h in which the host was found saturated."""
    told = [readers.past.diagnosed(CPU_PAGE, name, str(target), hours(24)) for name in SATURATED]
    return tuple(sorted((one for found in told for one in found), key=lambda one: one.at))
