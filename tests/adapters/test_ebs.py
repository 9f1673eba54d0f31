"""A host's cloud disk: by moto's EC2, what AWS refuses by botocore's stubs, and layouts as hosts tell them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import httpx
import pytest
from botocore.stub import Stubber

from byteport.adapters.cloud_volumes import CloudVolumes
from byteport.adapters.disk_layout import LAYOUT
from byteport.adapters.ebs import Ebs
from byteport.adapters.local_host import LocalTransport
from byteport.adapters.transport import Completed
from byteport.errors import Denied, Permanent
from byteport.model.facts.disks import Volume
from byteport.settings.hosts import CloudSection
from tests.moto_server import running

REGION = "eu-central-1"
CLOUD = CloudSection(region=REGION)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def ec2(aws: str) -> Any:
    httpx.post(f"{aws}/moto-api/reset").raise_for_status()
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("ec2", region_name=REGION, endpoint_url=aws, **keys)


@dataclass
class Nitro:
    """A host that tells its layout; no disk here has a cloud's serial."""

    layout: str = ""
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def get(self, name: str) -> Nitro:
        return self

    def run(self, argv: Any, **_more: Any) -> Completed:
        self.asked.append(tuple(argv))
        return Completed(0, self.layout, "")

    def close(self) -> None: ...


def made(ec2: Any, gigabytes: int = 100) -> tuple[CloudVolumes, str]:
    told = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=gigabytes)["VolumeId"]
    host = Nitro(f"nvme1n1p1 nvme1n1 last ext4 {told.replace('-', '')}\n")
    return CloudVolumes(host, {"web1": CLOUD}, {"aws": Ebs(lambda _cloud: ec2)}), told


def test_the_volume_under_a_mount_is_found_by_its_serial_and_grows_once(ec2):
    volumes, name = made(ec2)
    found = volumes.volume("web1", "/data")
    assert found == Volume(id=name, provider="aws", region=REGION, gigabytes=100)
    volumes.grow("web1", found, 125, "i1")
    assert volumes.volume("web1", "/data").gigabytes == 125
    with pytest.raises(Permanent, match="has 125 GB by now"):
        volumes.grow("web1", found, 130, "i2")
    with pytest.raises(Permanent, match="is not grown from 125 to 100 GB"):
        volumes.grow("web1", volumes.volume("web1", "/data"), 100, "i3")
    assert ec2.describe_volumes(VolumeIds=[name])["Volumes"][0]["Size"] == 125


def test_each_host_s_volume_is_grown_with_that_host_s_own_login(ec2):
    """Two accounts have disks in one region; only the second one's login knows this volume."""
    found, name = made(ec2)
    volume = found.volume("web1", "/data")
    clouds = {
        "db1": CLOUD.model_copy(update={"profile": "other"}),
        "web1": CLOUD.model_copy(update={"profile": "shop"}),
    }
    asked = []

    def ec2_of(cloud: CloudSection) -> Any:
        asked.append(cloud.profile)
        return ec2

    both = CloudVolumes(found.hosts, clouds, {"aws": Ebs(ec2_of)})
    both.grow("web1", volume, 125, "i1")
    assert asked == ["shop"]
    with pytest.raises(Permanent, match="is not grown"):
        both.grow("web2", volume, 150, "i2")
    with pytest.raises(Permanent, match=f"is not of {REGION}"):
        both.grow("web1", volume.with_(region="us-east-1", gigabytes=125), 150, "i3")
    assert ec2.describe_volumes(VolumeIds=[name])["Volumes"][0]["Size"] == 125


def test_the_doctor_s_look_needs_no_volume(ec2):
    volumes, _ = made(ec2)
    volumes.check("web1")
    with Stubber(ec2) as aws:
        aws.add_client_error("describe_volumes", "UnauthorizedOperation", "you are not authorized", 403)
        with pytest.raises(Denied, match="ec2:DescribeVolumes"):
            volumes.check("web1")


@pytest.mark.parametrize(
    ("layout", "why"),
    [
        ("dm-0 dm-0 whole ext4 ", "dm-0 is LVM, RAID or no disk at all"),
        ("md127 md127 whole xfs ", "md127 is LVM, RAID or no disk at all"),
        ("nvme0n1p1 nvme0n1 inner ext4 vol0123456789abcdef0", "nvme0n1p1 is not the last partition of its disk"),
        ("nvme0n1 nvme0n1 whole btrfs vol0123456789abcdef0", "btrfs is not grown"),
        ("sda1 sda last ext4 ", "the disk of sda1 has no serial of an EBS volume (none)"),
        ("sda1 sda last ext4 S3Z9NB0K", "the disk of sda1 has no serial of an EBS volume (S3Z9NB0K)"),
        ("", "it is LVM, RAID or no disk at all"),
    ],
)
def test_a_layout_that_nobody_knows_how_to_grow_says_so_and_asks_no_cloud(ec2, layout, why):
    volumes = CloudVolumes(Nitro(layout), {"web1": CLOUD}, {"aws": Ebs(lambda _cloud: pytest.fail("asked"))})
    assert volumes.volume("web1", "/data") == Volume(why=why)


def test_a_host_that_is_no_cloud_s_says_so():
    told = CloudVolumes(Nitro("nvme1n1 nvme1n1 whole xfs vol0123456789abcdef0"), {}).volume("web1", "/data")
    assert told.why == "hosts.web1.cloud is not configured"


def test_a_modification_under_way_and_a_refusal_are_told(ec2):
    volumes, name = made(ec2)
    found = volumes.volume("web1", "/data")
    with Stubber(ec2) as aws:
        described = {"Volumes": [{"VolumeId": name, "Size": 100}]}
        under_way = {"VolumesModifications": [{"VolumeId": name, "ModificationState": "modifying", "TargetSize": 125}]}
        aws.add_response("describe_volumes", described)
        aws.add_response("describe_volumes_modifications", under_way)
        assert volumes.volume("web1", "/data") == found.with_(changing=True)
        optimizing = {
            "VolumesModifications": [{**under_way["VolumesModifications"][0], "ModificationState": "optimizing"}]
        }
        aws.add_response("describe_volumes", described)
        aws.add_response("describe_volumes_modifications", optimizing)
        assert volumes.volume("web1", "/data").gigabytes == 125
        aws.add_response("describe_volumes", described)
        aws.add_response("describe_volumes_modifications", {"VolumesModifications": []})
        aws.add_client_error("modify_volume", "VolumeModificationRateExceeded", "you have reached the maximum", 400)
        with pytest.raises(Permanent, match="VolumeModificationRateExceeded"):
            volumes.grow("web1", found, 125, "i1")
        aws.add_client_error("describe_volumes", "UnauthorizedOperation", "you are not authorized", 403)
        with pytest.raises(Denied, match="ec2:DescribeVolumes"):
            volumes.volume("web1", "/data")


BEGAN = datetime(2026, 11, 26, 12, 0, 5, 250_000, tzinfo=UTC)


def ended_as(ec2: Any, state: str, began: datetime = BEGAN, **more: Any) -> str:
    """What is told of a modification that was asked for at BEGAN, where AWS has this one as its newest."""
    volumes, name = made(ec2)
    found = volumes.volume("web1", "/data")
    asked = {"VolumeId": name, "TargetSize": 125, "ModificationState": "modifying", "StartTime": BEGAN}
    newest = {**asked, "ModificationState": state, "StartTime": began, **more}
    with Stubber(ec2) as aws:
        aws.add_response("describe_volumes", {"Volumes": [{"VolumeId": name, "Size": 100}]})
        aws.add_response("describe_volumes_modifications", {"VolumesModifications": []})
        aws.add_response("modify_volume", {"VolumeModification": asked})
        change = volumes.grow("web1", found, 125, "i1")
        aws.add_response("describe_volumes_modifications", {"VolumesModifications": [newest]})
        return volumes.failed("web1", found, change)


def test_a_modification_that_has_failed_is_told_with_what_aws_says_of_it(ec2):
    told = ended_as(ec2, "failed", StatusMessage="the volume is not available")
    assert told == "aws: the modification has failed: the volume is not available"
    assert ended_as(ec2, "failed") == "aws: the modification has failed: no reason is given"


@pytest.mark.parametrize("state", ["modifying", "optimizing", "completed"])
def test_a_modification_that_has_not_failed_may_still_come(ec2, state):
    assert ended_as(ec2, state) == ""


def test_a_failure_from_before_it_was_asked_for_is_another_s(ec2):
    assert ended_as(ec2, "failed", BEGAN - timedelta(minutes=5)) == ""
    assert ended_as(ec2, "failed", BEGAN.replace(microsecond=0)) != ""  # told without fractions


def test_a_growth_that_no_answer_named_is_not_taken_for_failed(ec2):
    volumes, _ = made(ec2)
    assert volumes.failed("web1", volumes.volume("web1", "/data"), "") == ""


def test_the_layout_of_this_very_machine_is_read():
    told = LocalTransport().run(("sh", "-c", LAYOUT, "/")).stdout.split()
    assert told[2] in ("whole", "last", "inner")
    assert told[3] in ("ext4", "xfs", "btrfs", "overlay")
