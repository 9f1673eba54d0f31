"""The ways to hosts: whoever looks may ask what became of a unit, only whoever acts may start one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from byteport.ports_disks import DiskCleaning, Disks, VolumeGrowing, Volumes
from byteport.ports_hosts import HostInventories, HostUnits, HostUnitsStarting
from byteport.ports_memory import HostMemoryReading, HostRuntimesReading, ServiceReleases
from byteport.ports_processes import HostProcesses, SystemUnits, SystemUnitsChanging
from byteport.settings import Settings
from byteport.wiring_parts import NotConfigured

if TYPE_CHECKING:
    from byteport.adapters.hosts import Hosts

OF_HOSTS = (
    "hosts", "host_units", "host_inventory", "host_processes", "system_units", "host_memory", "host_disks", "ebs",
    "host_releases", "host_runtime",
)  # fmt: skip
NO_WAY = "this process has no way to hosts"


@dataclass
class Ways:
    """One pool of connections for looking, polling and acting; `close` gives them back."""

    settings: Settings
    looks: bool
    acts: bool
    _closing: list[Any] = field(default_factory=list)

    @cached_property
    def pool(self) -> Hosts:
        """The connections, made when they are first needed."""
        from byteport.adapters.hosts import Hosts

        made = Hosts(self.settings.hosts)
        self._closing.append(made)
        return made

    @cached_property
    def _units(self) -> Any:
        from byteport.adapters.host_units import UserUnits

        return UserUnits(self.pool)

    @property
    def inventories(self) -> HostInventories:
        if not self.looks:
            refusing: Any = NotConfigured(NO_WAY)
            return refusing  # type: ignore[no-any-return]
        from byteport.adapters.host_inventory import InventoryFiles

        groups = {name: section.group for name, section in self.settings.hosts.items()}
        return InventoryFiles(self.pool, groups)

    @property
    def processes(self) -> HostProcesses:
        if not self.looks:
            refusing: Any = NotConfigured(NO_WAY)
            return refusing  # type: ignore[no-any-return]
        from byteport.adapters.host_processes import ProcfsOf

        return ProcfsOf(self.pool)

    @property
    def system_units(self) -> SystemUnits:
        units: SystemUnits = self._services if self.looks else NotConfigured(NO_WAY)
        return units

    @property
    def changing(self) -> SystemUnitsChanging:
        units: SystemUnitsChanging = self._services if self.acts else NotConfigured("this process may not act")
        return units

    @cached_property
    def _services(self) -> Any:
        from byteport.adapters.system_units import SystemUnitsOf

        return SystemUnitsOf(self.pool)

    @property
    def memory(self) -> HostMemoryReading:
        if not self.looks:
            refusing: Any = NotConfigured(NO_WAY)
            return refusing  # type: ignore[no-any-return]
        from byteport.adapters.host_memory import HostMemory

        return HostMemory(self.pool)

    @cached_property
    def _disks(self) -> Any:
        from byteport.adapters.host_disks import HostDisks

        return HostDisks(self.pool)

    @property
    def disks(self) -> Disks:
        disks: Disks = self._disks if self.looks else NotConfigured(NO_WAY)
        return disks

    @property
    def cleaning(self) -> DiskCleaning:
        disks: DiskCleaning = self._disks if self.acts else NotConfigured("this process may not act")
        return disks

    @cached_property
    def _volumes(self) -> Any:
        from byteport.adapters.cloud_volumes import CloudVolumes

        clouds = {name: one.cloud for name, one in self.settings.hosts.items() if one.cloud is not None}
        return CloudVolumes(self.pool, clouds)

    @property
    def volumes(self) -> Volumes:
        volumes: Volumes = self._volumes if self.looks else NotConfigured(NO_WAY)
        return volumes

    @property
    def growing(self) -> VolumeGrowing:
        volumes: VolumeGrowing = self._volumes if self.acts else NotConfigured("this process may not act")
        return volumes

    @property
    def releases(self) -> ServiceReleases:
        if not self.looks:
            refusing: Any = NotConfigured(NO_WAY)
            return refusing  # type: ignore[no-any-return]
        from byteport.adapters.host_releases import HostReleases

        return HostReleases(self.pool)

    @property
    def runtimes(self) -> HostRuntimesReading:
        if not self.looks:
            refusing: Any = NotConfigured(NO_WAY)
            return refusing  # type: ignore[no-any-return]
        from byteport.adapters.host_runtime import HostRuntimes

        return HostRuntimes(self.pool)

    @property
    def looking(self) -> HostUnits:
        units: HostUnits = self._units if self.looks else NotConfigured(NO_WAY)
        return units

    @property
    def starting(self) -> HostUnitsStarting:
        units: HostUnitsStarting = self._units if self.acts else NotConfigured("this process may not act")
        return units

    def preload(self) -> None:
        """Import what the configured hosts need, before a fork shares it among children; connects to none."""
        if not self.settings.hosts or not (self.looks or self.acts):
            return
        hosts = self.settings.hosts.values()
        ssh = ("ssh",) if any(one.transport == "ssh" for one in hosts) else ()
        for name in (*OF_HOSTS, *ssh):
            import_module(f"byteport.adapters.{name}")
        if any(one.cloud is not None for one in hosts):
            import_module("byteport.adapters.aws").preload()

    def close(self) -> None:
        """Let go of every connection."""
        while self._closing:
            self._closing.pop().close()


class LooksAtHosts:
    """The part of `Readers` that asks for a host's processes, services and disks."""

    hosts: Ways

    @property
    def units(self) -> HostUnits:
        return self.hosts.looking

    @property
    def inventories(self) -> HostInventories:
        return self.hosts.inventories

    @property
    def disks(self) -> Disks:
        return self.hosts.disks

    @property
    def volumes(self) -> Volumes:
        return self.hosts.volumes

    @property
    def processes(self) -> HostProcesses:
        return self.hosts.processes

    @property
    def system_units(self) -> SystemUnits:
        return self.hosts.system_units

    @property
    def memory(self) -> HostMemoryReading:
        return self.hosts.memory

    @property
    def releases(self) -> ServiceReleases:
        return self.hosts.releases

    @property
    def runtimes(self) -> HostRuntimesReading:
        return self.hosts.runtimes


class ActsOnHosts:
    """The part of `Writers` that changes a host's services and disks."""

    hosts: Ways

    @property
    def units(self) -> HostUnitsStarting:
        return self.hosts.starting

    @property
    def cleaning(self) -> DiskCleaning:
        return self.hosts.cleaning

    @property
    def volumes(self) -> VolumeGrowing:
        return self.hosts.growing

    @property
    def system_units(self) -> SystemUnitsChanging:
        return self.hosts.changing
