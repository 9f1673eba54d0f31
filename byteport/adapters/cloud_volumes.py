"""A host's cloud disk, whosever it is: the host says what lies under a mount, its provider what that disk is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from byteport.adapters.disk_layout import Layout, layout_under
from byteport.adapters.ebs import Ebs
from byteport.adapters.persistent_disks import PersistentDisks
from byteport.adapters.transport import ByName
from byteport.errors import Permanent
from byteport.model.facts.disks import Volume
from byteport.settings.hosts import CloudSection


class Provider(Protocol):
    """One cloud. Everything raises Transient, Denied or Permanent; `volume` is one that `under` has told."""

    def under(self, host: str, cloud: CloudSection, layout: Layout) -> Volume: ...
    def grow(self, cloud: CloudSection, volume: Volume, to_gigabytes: int, mark: str) -> str: ...
    def failed(self, cloud: CloudSection, volume: Volume, change: str) -> str: ...
    def check(self, host: str, cloud: CloudSection) -> None:
        """Whether the login may look."""
        ...


def providers() -> Mapping[str, Provider]:
    return {"aws": Ebs(), "gcp": PersistentDisks()}


@dataclass(frozen=True)
class CloudVolumes:
    """`clouds` are the hosts that are a cloud's."""

    hosts: ByName
    clouds: Mapping[str, CloudSection]
    providers: Mapping[str, Provider] = field(default_factory=providers)

    def volume(self, host: str, mount: str) -> Volume:
        layout, cloud = layout_under(self.hosts, host, mount), self.clouds.get(host)
        if layout.unfit:
            return Volume(why=layout.unfit)
        if cloud is None:
            return Volume(why=f"hosts.{host}.cloud is not configured")
        return self.providers[cloud.provider].under(host, cloud, layout)

    def grow(self, host: str, volume: Volume, to_gigabytes: int, mark: str) -> str:
        cloud = self._cloud_of(host, volume)
        if cloud is None or to_gigabytes <= volume.gigabytes:
            raise Permanent(f"{volume.id} is not grown from {volume.gigabytes} to {to_gigabytes} GB")
        return self.providers[cloud.provider].grow(cloud, volume, to_gigabytes, mark)

    def failed(self, host: str, volume: Volume, change: str) -> str:
        cloud = self._cloud_of(host, volume)
        return self.providers[cloud.provider].failed(cloud, volume, change) if cloud is not None else ""

    def check(self, host: str) -> None:
        """Raises where the host's cloud does not let us look."""
        cloud = self.clouds[host]
        self.providers[cloud.provider].check(host, cloud)

    def _cloud_of(self, host: str, volume: Volume) -> CloudSection | None:
        """The host's, where it is still the one that the volume was found in."""
        cloud = self.clouds.get(host)
        return cloud if cloud is not None and cloud.provider == volume.provider else None
