"""What the page on kills for want of memory looks at, and how it reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from byteport.errors import NotKnown
from byteport.model.facts.memory import Consumer, Group, History, KernelLines, Meminfo, Samples, TopMemory
from byteport.model.facts.runtimes import HeapInfo, RuntimeHints
from byteport.model.facts.services import Restarts, Runtime
from byteport.model.facts.system_units import SystemUnit
from byteport.model.units import hours, minutes
from byteport.probes import memory, oom, services
from byteport.runbooks.linux import memory_series as series
from byteport.runbooks.linux.host_evidence import HostEvidence

PRESSED, WELL, SPIKE, PLATEAU, HOST_PCT = 0.90, 0.70, 0.80, 0.80, 90


class OomEvidence(HostEvidence):
    """What we look at (fields, each filled in by its probe) and how we read it (methods)."""

    runtime_env: Annotated[Runtime, services.runtime_env]
    cgroup_memory_stat: Annotated[Group | None, oom.cgroup_memory_stat]
    proc_meminfo: Annotated[Meminfo, memory.proc_meminfo]
    top_rss: Annotated[TopMemory, memory.top_rss]
    runtime: Annotated[RuntimeHints | None, oom.runtime_hints]
    rss_history: Annotated[History | None, oom.rss_history]
    request_rate: Annotated[Samples | None, oom.request_rate]
    consumer_kind: Annotated[SystemUnit | None, services.consumer_kind]
    restart_history: Annotated[Restarts, services.restart_history]
    oom_log: Annotated[KernelLines, oom.oom_log]
    jvm_heap_info: Annotated[HeapInfo | None, oom.jvm_heap_info]
    node_heap_endpoint: Annotated[bool, oom.node_heap_endpoint]
    limit_vs_usage: Annotated[None, oom.limit_vs_usage]
    k8s_events: Annotated[None, oom.k8s_events]

    def runs_elsewhere(self) -> bool:
        """It runs in Kubernetes or on Render, where its memory is not looked at yet."""
        return self.runtime_env.platform in ("render", "kubernetes")

    def heap_exceeds_limit(self) -> bool:
        """The runtime was told that its heap may grow beyond the service's limit."""
        told = self.runtime
        return told is not None and told.heap is not None and told.heap > self.limit

    def host_is_exhausted(self) -> bool:
        """The whole host is short of memory."""
        return self.proc_meminfo.used_pct > HOST_PCT

    def is_within_its_limit(self) -> bool:
        """The service stays within its own limit, and another one holds more."""
        group, largest = self.cgroup_memory_stat, self.neighbor
        return group is not None and group.working_set < PRESSED * self.limit and largest is not None

    def follows_traffic(self) -> bool:
        """Memory goes up and down with the requests."""
        if self.request_rate is None:
            return False
        close = series.goes_with(self.points, self.request_rate.points)
        return close is not None and close >= SPIKE

    def keeps_rising(self) -> bool:
        """Memory has risen for two hours or more since the service was started."""
        return series.rises(self.points, hours(2))

    def stands_high(self) -> bool:
        """In a steady state 99 % of the samples reach more than 80 % of the service's own limit."""
        group, points = self.cgroup_memory_stat, self.points
        if group is None or group.limit is None or len(points) < series.LEAST_POINTS:
            return False
        return series.p99(points) > PLATEAU * group.limit and not series.rises(points, minutes(30))

    def is_pressed(self) -> bool:
        """Its working set is at 90 % of its limit or more."""
        return self.share >= PRESSED

    def is_well_below(self) -> bool:
        """It holds less than 70 % of its limit."""
        return self.share < WELL

    def was_not_killed_again(self) -> bool:
        """No kill is counted in its control group since it was started anew."""
        group = self.cgroup_memory_stat
        if group is None:
            return False
        if group.oom_kills is not None:
            return group.oom_kills == 0
        return self.proc_meminfo.oom_kills is None or self.proc_meminfo.oom_kills == self.before.proc_meminfo.oom_kills

    def errors_are_usual(self) -> bool | None:
        """At most 1.2 times as many errors as usual at this hour; no source of that is configured for hosts."""
        return None

    @property
    def unit(self) -> str:
        return services.unit_of(self.target)

    @property
    def limit(self) -> int:
        """The service's own, or all of the host's memory where it has none. Raises NotKnown."""
        group = self.cgroup_memory_stat
        return group.limit if group is not None and group.limit is not None else self.proc_meminfo.total

    @property
    def share(self) -> float:
        """Working set of its limit; raises NotKnown where nothing of it runs."""
        group = self.cgroup_memory_stat
        if group is None:
            raise NotKnown("cgroup_memory_stat", "nothing of that name runs, or its memory is not accounted for")
        return group.working_set / self.limit

    @property
    def neighbor(self) -> Consumer | None:
        """Who holds most of the host's memory, where that is somebody else."""
        largest = self.top_rss.consumers[0]
        return None if largest.unit == self.unit else largest

    @property
    def points(self) -> tuple[tuple[datetime, int], ...]:
        """What it held since it was started last. Raises NotKnown where nobody remembers anything of it."""
        if self.rss_history is None:
            raise NotKnown("rss_history", "nobody remembers what was held over the last hours")
        found = self.top_rss.of(self.unit)
        told = self.rss_history.of(self.unit)
        if found is None:
            return ()
        return tuple((at, held) for at, held in told if (self.looked_at - at).total_seconds() <= found.age)

    @property
    def used_restarts(self) -> int:
        """Automatic restarts of the last hour."""
        return len(self.restart_history.ours)
