"""What is asked of a host's CPUs, processes and system services, and what may be done to a service.

All raise Transient (out of reach), Denied (no such host, no login, a right that is lacking) or Permanent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from byteport.model.facts.processes import CpuUse, Pressure, TopProcesses
from byteport.model.facts.system_units import LabelledUnits, SystemUnit
from byteport.model.privileged import RestartVerb


class HostProcesses(Protocol):
    """Looks at who uses the CPUs. Each look takes as long as it watches, and some seconds more."""

    def cpu(self, host: str, length: timedelta, every: timedelta) -> CpuUse: ...
    def top(self, host: str, length: timedelta) -> TopProcesses: ...
    def pressure(self, host: str) -> Pressure:
        """Five seconds."""
        ...


class SystemUnits(Protocol):
    """Looks at a host's system services."""

    def unit(self, host: str, name: str) -> SystemUnit | None:
        """None where the service manager does not know it, or there is no systemd."""
        ...

    def labelled(self, host: str) -> LabelledUnits:
        """Those that carry the label, whether it counts or not."""
        ...


class SystemUnitsChanging(Protocol):
    """Changes one of a host's system services, through sudo."""

    def restart(self, host: str, name: str, was: str, verb: RestartVerb) -> None:
        """Ask for it, where its invocation still is `was`, and do not wait; try-restart leaves one that does not run
        alone. Raises Permanent where somebody has started it anew."""
        ...

    def set_cpu_weight(self, host: str, name: str, was: int | None, to: int | None) -> None:
        """Until the next boot, where it still is `was`; None: the default. Raises Permanent where it is not."""
        ...
