"""The ways to hosts: whoever looks may ask what became of a unit, only whoever acts may start one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from byteport.ports_hosts import HostUnits, HostUnitsStarting
from byteport.settings import Settings
from byteport.wiring_github import NotConfigured


@dataclass
class Ways:
    """One pool of connections for both; `close` gives them back."""

    settings: Settings
    looks: bool
    acts: bool
    _closing: list[Any] = field(default_factory=list)

    @cached_property
    def _units(self) -> Any:
        from byteport.adapters.host_units import UserUnits
        from byteport.adapters.hosts import Hosts

        hosts = Hosts(self.settings.hosts)
        self._closing.append(hosts)
        return UserUnits(hosts)

    @property
    def looking(self) -> HostUnits:
        units: HostUnits = self._units if self.looks else NotConfigured("this process has no way to hosts")
        return units

    @property
    def starting(self) -> HostUnitsStarting:
        units: HostUnitsStarting = self._units if self.acts else NotConfigured("this process may not act")
        return units

    def close(self) -> None:
        """Let go of every connection."""
        while self._closing:
            self._closing.pop().close()
