"""What the page on a host's memory looks at, and how it reads it."""

from __future__ import annotations

from typing import Annotated

from byteport.errors import NotKnown
from byteport.grammar.truth import all_of, any_of
from byteport.model.facts.memory import Audit, Groups, History, Meminfo, Stall, TopMemory
from byteport.model.facts.system_units import LabelledUnits, denied
from byteport.probes import memory
from byteport.runbooks.linux.host_evidence import HostEvidence
from byteport.runbooks.linux.memory_growth import Growth, Growths, growths

CERTAIN_PCT, STALLED_PCT = 95, 10


class MemoryEvidence(HostEvidence):
    """What we look at (fields, each filled in by its probe) and how we read it (methods)."""

    proc_meminfo: Annotated[Meminfo, memory.proc_meminfo]
    cgroup_stats: Annotated[Groups, memory.cgroup_stats]
    top_rss: Annotated[TopMemory, memory.top_rss]
    pressure_stall: Annotated[Stall | None, memory.pressure_stall]
    history: Annotated[History | None, memory.last_hour]
    safe_label: Annotated[LabelledUnits, memory.safe_label]
    audit: Annotated[Audit, memory.audit]

    def is_exhausted(self) -> bool:
        """More of the memory is used than mem_threshold_pct says; page cache can be had and does not count."""
        return self.proc_meminfo.used_pct > self.trigger

    def is_far_gone(self) -> bool:
        """More than 95 % of the memory is used."""
        return self.proc_meminfo.used_pct > CERTAIN_PCT

    def tasks_wait(self) -> bool:
        """Tasks waited for memory in more than 10 % of the last minute, where the kernel counts it."""
        return self.pressure_stall is None or self.pressure_stall.some_avg60 > STALLED_PCT

    def somebody_leaks(self) -> bool:
        """The largest grower of the last hour grew by 20 % and 200 MiB."""
        return self.leak is not None

    def has_recovered(self) -> bool:
        """Less of the memory is used than mem_recover_pct says."""
        return self.proc_meminfo.used_pct < float(self.options.get("mem_recover_pct", 85))

    @property
    def trigger(self) -> float:
        return float(self.options.get("mem_threshold_pct", 90))

    @property
    def growths(self) -> Growths:
        """Raises NotKnown where nobody remembers the last hour."""
        if self.history is None:
            raise NotKnown("history", "nobody remembers who held how much an hour ago")
        return growths(self.top_rss.consumers, self.history, self.looked_at)

    @property
    def leak(self) -> Growth | None:
        """The largest grower, if it leaks. Raises NotKnown where another may have grown more."""
        seen = self.growths
        if seen.doubt:
            raise NotKnown("history", seen.doubt)
        return seen.largest if seen.largest is not None and seen.largest.leaks else None

    @property
    def group(self) -> str:
        """The host's group in BytePort's configuration, whose ceiling on writes it counts against."""
        return self.inventory.group

    def keeps(self, unit: str) -> str:
        """Why that service is not to be restarted; empty where it is opted in."""
        found = self.safe_label.of(unit)
        if found is None or not found.is_opted_in:
            return (found.why if found is not None else "") or "it does not carry byteport.restart=safe"
        return denied(unit, found.command)


MUST_ACT = all_of(MemoryEvidence.is_exhausted, any_of(MemoryEvidence.is_far_gone, MemoryEvidence.tasks_wait))
