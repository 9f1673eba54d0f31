"""What the page on saturated CPUs looks at, and how it reads it."""

from __future__ import annotations

from typing import Annotated

from byteport.model.base import Value
from byteport.model.facts.application import PastDiagnosis
from byteport.model.facts.hosts import HostInventory
from byteport.model.facts.processes import CpuUse, Pressure, TopProcesses
from byteport.model.facts.system_units import LabelledUnits, SystemUnit, denied
from byteport.probes import processes
from byteport.runbooks.linux.host_evidence import HostEvidence

OPT_OUT = "priorityclass.kubernetes.io/no-autoremediation"
SWAPPING = 3  # of five seconds
STOLEN = 20.0
LEAST_SHARE = 10.0
REPEATED = 3


class Consumer(Value):
    """A service, by what all of its processes use."""

    unit: SystemUnit
    percent: float


class CpuEvidence(HostEvidence):
    """What we look at (fields, each filled in by its probe) and how we read it (methods)."""

    optout: Annotated[HostInventory, processes.optout]
    proc_stat: Annotated[CpuUse, processes.proc_stat]
    top_cpu: Annotated[TopProcesses, processes.top_cpu]
    vmstat: Annotated[Pressure, processes.vmstat]
    safe_label: Annotated[LabelledUnits, processes.safe_label]
    cpu_now: Annotated[TopProcesses, processes.cpu_now]
    earlier: Annotated[tuple[PastDiagnosis, ...], processes.earlier_saturations]

    def saturated(self) -> bool:
        """The CPUs are busier than cpu_threshold_pct in every sample of the look."""
        return self.proc_stat.stays_above(self.threshold)

    def sustained(self) -> bool:
        """They were busier than cpu_threshold_pct in every sample, for cpu_sustain_sec."""
        first, now = self.before.proc_stat, self.proc_stat
        if first.boot != now.boot or now.readings[-1].at - first.readings[0].at < self.sustain:
            return False
        gap = now.readings[0].since(first.readings[-1])
        between = gap.seconds <= 0 or gap.busy > self.threshold
        return between and first.stays_above(self.threshold) and now.stays_above(self.threshold)

    def swaps(self) -> bool:
        """Memory comes from swap or goes there in at least 3 of 5 seconds."""
        return self.vmstat.swapping_seconds >= SWAPPING

    def is_stolen(self) -> bool:
        """The hypervisor gives at least 20 % of the CPUs to others."""
        return self.proc_stat.whole.steal >= STOLEN

    def has_a_consumer(self) -> bool:
        """A labelled service uses so much of the CPUs that use would come down without it."""
        return self.consumer is not None

    def is_a_pods(self) -> bool:
        """The heaviest process is a pod's."""
        return any(process.pod for process in self.top_cpu.processes[:1])

    def recovered(self) -> bool:
        """The CPUs are less busy than cpu_recover_pct."""
        return self.cpu_now.use.busy < self.recover

    def not_opted_out(self) -> bool:
        """priorityclass.kubernetes.io/no-autoremediation is not true in /etc/byteport/host.yaml."""
        return not self.optout.holds(OPT_OUT, "true")

    def is_repeated(self) -> bool:
        """The host is saturated for the third time in 24 h."""
        return len(self.before.earlier) + 1 >= REPEATED

    @property
    def consumer(self) -> Consumer | None:
        """The heaviest labelled service, where it is the matter: by all of its processes, however small each is."""
        found = [(self.top_cpu.of(name), self.safe_label.of(name)) for name in self._seen]
        allowed = [(share, unit) for share, unit in found if unit is not None and self._may_be_touched(unit)]
        share, unit = max(allowed, key=lambda one: one[0], default=(0.0, None))
        return Consumer(unit=unit, percent=share) if unit is not None and share >= self.least_share else None

    @property
    def _seen(self) -> tuple[str, ...]:
        return tuple(name for name in self.top_cpu.units if name)

    def _may_be_touched(self, unit: SystemUnit) -> bool:
        listed = {process.name for process in self.top_cpu.processes if process.unit == unit.name}
        names = listed.union(self.top_cpu.names.get(unit.name, ()))
        return unit.is_opted_in and not any(denied(unit.name, name) for name in (unit.command, *names))

    @property
    def least_share(self) -> float:
        """Without it the CPUs would be less busy than cpu_recover_pct."""
        return max(LEAST_SHARE, round(self.top_cpu.use.busy - self.recover, 1))

    @property
    def group(self) -> str:
        """The host's inventory group."""
        return self.target.coordinates.get("group") or self.inventory.group

    @property
    def threshold(self) -> float:
        return float(self.options["cpu_threshold_pct"])

    @property
    def recover(self) -> float:
        return float(self.options["cpu_recover_pct"])

    @property
    def sustain(self) -> float:
        return float(self.options["cpu_sustain_sec"])

    @property
    def recheck(self) -> float:
        return float(self.options["recheck_sec"])
