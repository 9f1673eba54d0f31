"""A cloud of Google's on loopback: the server, a host of it, and our way to its disks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from byteport.adapters.cloud_volumes import CloudVolumes
from byteport.adapters.disk_layout import SECTORS
from byteport.adapters.gcp import ComputeApi
from byteport.adapters.persistent_disks import PersistentDisks
from byteport.adapters.transport import Completed
from byteport.model.facts.disks import Volume
from byteport.settings.hosts import CloudSection
from tests.compute_server import PROJECT, ZONE, Compute, running

SOON = timedelta(seconds=1)


@dataclass
class Host:
    """One that tells its layout: the size that its kernel sees, and Google's names of the disk."""

    gigabytes: int = 100
    links: tuple[str, ...] = ("persistent-disk-1",)
    first: str = "sdb1 sdb last ext4 "

    def get(self, name: str) -> Host:
        return self

    def run(self, argv: Any, **_more: Any) -> Completed:
        return Completed(0, "\n".join([self.first, str(self.gigabytes * SECTORS), *self.links]) + "\n", "")

    def close(self) -> None: ...


@dataclass
class Cloud:
    """The server, a host of it, and our way to its disks."""

    compute: Compute
    host: Host
    section: CloudSection

    @cached_property
    def volumes(self) -> CloudVolumes:
        disks = PersistentDisks(lambda cloud: ComputeApi(cloud.api_url, cloud.credentials_file, SOON))
        return CloudVolumes(self.host, {"web1": self.section}, {"gcp": disks})

    def found(self, why: str = "") -> Volume:
        told = self.volumes.volume("web1", "/data")
        assert told.why == why
        return told

    def resized(self) -> list[tuple[dict[str, str], Any]]:
        return [(asked.query, asked.json) for asked in self.compute.http.asked if asked.path.endswith("/resize")]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with running() as (compute, http):
        section = CloudSection(
            provider="gcp", project=PROJECT, zone=ZONE, api_url=http.url, credentials_file=compute.file(tmp_path)
        )
        compute.attach("web1", "boot", compute.add_disk("web1", 10), boot=True)
        yield Cloud(compute, Host(), section)


@pytest.fixture
def zonal(cloud: Cloud) -> Cloud:
    cloud.compute.attach("web1", "persistent-disk-1", cloud.compute.add_disk("shop-data", 100))
    return cloud
