"""Persistent disks of Compute Engine, zonal and regional: which one a host's disk is, and making it larger.

The link `google-NAME` that a host has in /dev/disk/by-id carries the name that the disk has on its instance
(`deviceName`), which need not be the disk's own: the instance says whose it is. Such names are alike on many instances,
so a disk counts as found only where the host's kernel sees the size that Google tells. Since the kernel of a running
host sees a larger disk without being told, a disk has grown when both say so. Hyperdisks are changed by another request
and right (`disks.update`): they are left to people.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from byteport.adapters.disk_layout import Layout
from byteport.adapters.gcp import ComputeApi
from byteport.errors import Permanent, Transient
from byteport.model.facts.disks import Volume
from byteport.settings.hosts import CloudSection

MARKS = uuid.UUID("0a6c4b0e-5d0b-5c0f-9e53-6f2d5f1f7a11")  # ours; a mark of the same text is the same request
NAME = r"[a-z0-9](?:[-a-z0-9.:]{0,126}[a-z0-9])?"
DISK = re.compile(rf"projects/(?P<project>{NAME})/(?P<kind>zones|regions)/(?P<place>{NAME})/disks/(?P<disk>{NAME})\Z")


@dataclass(frozen=True)
class PersistentDisks:
    """One login for a file and an address, made when it is first needed. A volume's id is its path behind
    /compute/v1/."""

    api_of: Callable[[CloudSection], ComputeApi] = lambda cloud: ComputeApi(cloud.api_url, cloud.credentials_file)
    _apis: dict[tuple[str, str], ComputeApi] = field(default_factory=dict)

    def under(self, host: str, cloud: CloudSection, layout: Layout) -> Volume:
        if not layout.google:
            return Volume(why=f"the disk of {layout.name} has no link google-… in /dev/disk/by-id")
        attached = [one for one in self._attached(host, cloud) if one.get("deviceName") in layout.google]
        found = DISK.search(str(attached[0].get("source", ""))) if len(attached) == 1 else None
        if found is None or found["project"] != cloud.project:
            names, of = ", ".join(layout.google), f"{cloud.project}'s instance {_instance(host, cloud)}"
            return Volume(why=f"{names} is not one persistent disk of {of}")
        if attached[0].get("mode") == "READ_ONLY":
            return Volume(why=f"{found['disk']} is attached read-only")
        return self._described(cloud, found[0], layout)

    def grow(self, cloud: CloudSection, volume: Volume, to_gigabytes: int, mark: str) -> str:
        """The name of the operation that it became."""
        known = DISK.fullmatch(volume.id)
        if known is None or known["project"] != cloud.project:
            raise Permanent(f"{volume.id} is no disk of {cloud.project}")
        now = self._described(cloud, volume.id)
        if now.why or now.gigabytes != volume.gigabytes:
            raise Permanent(now.why or f"{volume.id} has {now.gigabytes} GB by now")
        told = self._api(cloud).ask(
            "POST", f"/{volume.id}/resize", "compute.disks.resize",
            params={"requestId": str(uuid.uuid5(MARKS, mark))}, json={"sizeGb": str(to_gigabytes)},
        )  # fmt: skip
        if why := _ended_badly(told):
            raise Permanent(why)
        return str(told.get("name", ""))

    def failed(self, cloud: CloudSection, volume: Volume, change: str) -> str:
        """Why the operation has ended without its effect; empty while it may still come, or has."""
        if not change or (known := DISK.fullmatch(volume.id)) is None:
            return ""
        at = f"/projects/{known['project']}/{known['kind']}/{known['place']}/operations/{quote(change, safe='')}"
        right = f"compute.{known['kind'].removesuffix('s')}Operations.get"
        return _ended_badly(self._api(cloud).ask("GET", at, right))

    def check(self, host: str, cloud: CloudSection) -> None:
        for one in self._attached(host, cloud):
            if found := DISK.search(str(one.get("source", ""))):
                self._described(cloud, found[0])

    def _attached(self, host: str, cloud: CloudSection) -> list[dict[str, Any]]:
        at = f"/projects/{cloud.project}/zones/{cloud.zone}/instances/{_instance(host, cloud)}"
        disks = self._api(cloud).ask("GET", at, "compute.instances.get").get("disks", [])
        return [one for one in disks if isinstance(one, dict)]

    def _described(self, cloud: CloudSection, path: str, layout: Layout | None = None) -> Volume:
        told = self._api(cloud).ask("GET", f"/{path}", "compute.disks.get")
        size, name, users = _gigabytes(told), told.get("name", path), len(told.get("users") or ())
        if told.get("status") != "READY":
            return Volume(why=f"{name} is {told.get('status', 'in no known state')}")
        if "/diskTypes/hyperdisk-" in str(told.get("type")):
            return Volume(why=f"{name} is a Hyperdisk, which has a way of its own to grow")
        if users > 1:
            return Volume(why=f"{name} is attached to {users} instances")
        if layout is not None and layout.gigabytes != size:
            seen = f"the host sees {layout.gigabytes:g} GB"
            return Volume(why=f"{seen} where {name} has {size}: it is another disk, or not seen yet")
        place = path.split("/")[3]
        return Volume(id=path, provider="gcp", region=place, gigabytes=size)

    def _api(self, cloud: CloudSection) -> ComputeApi:
        key = (cloud.api_url, str(cloud.credentials_file or ""))
        if key not in self._apis:
            self._apis[key] = self.api_of(cloud)
        return self._apis[key]


def _instance(host: str, cloud: CloudSection) -> str:
    return quote(cloud.instance or host, safe="")


def _gigabytes(told: Mapping[str, Any]) -> int:
    """An int64 is a text in JSON."""
    size = str(told.get("sizeGb", ""))
    if not (size.isascii() and size.isdigit()):
        raise Transient("gcp: a disk without a size")
    return int(size)


def _ended_badly(operation: Mapping[str, Any]) -> str:
    if operation.get("status") != "DONE":
        return ""
    errors = (operation.get("error") or {}).get("errors") or []
    said = "; ".join(f"{one.get('code', '')}: {one.get('message', '')}" for one in errors)
    return f"gcp: {said[:300]}" if errors else str(operation.get("httpErrorMessage", ""))
