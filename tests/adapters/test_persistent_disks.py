"""Google's persistent disks: by a Compute Engine on loopback, whose requests and answers are held to Google's published
description, with google-auth's real login for a service account. No GCP has been asked."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from byteport.actions.volumes import GrowVolume
from byteport.errors import Denied, NotFound, Permanent, Transient
from byteport.grammar.action import Effect
from byteport.model.facts.disks import Volume
from tests.compute_cloud import cloud as cloud
from tests.compute_cloud import zonal as zonal
from tests.compute_server import PROJECT, REGION, ZONE, error
from tests.http_server import HANGS, LOST, Reply

ZONAL = f"projects/{PROJECT}/zones/{ZONE}/disks/shop-data"
REGIONAL = f"projects/{PROJECT}/regions/{REGION}/disks/shop-data"


def test_the_disk_under_a_mount_is_the_one_that_the_instance_has_under_its_name(zonal):
    assert zonal.found() == Volume(id=ZONAL, provider="gcp", region=ZONE, gigabytes=100)
    assert zonal.compute.methods == ["instances.get", "disks.get"]


def test_it_grows_once_it_is_asked_and_counts_as_grown_when_the_host_sees_it(zonal):
    volumes, before = zonal.volumes, zonal.found()
    change = volumes.grow("web1", before, 125, "intent-1")
    assert zonal.resized() == [({"requestId": str(uuid.UUID(zonal.resized()[0][0]["requestId"]))}, {"sizeGb": "125"})]
    assert zonal.found() == before
    assert volumes.failed("web1", before, change) == ""
    zonal.compute.finish()
    zonal.found("the host sees 100 GB where shop-data has 125: it is another disk, or not seen yet")
    zonal.host.gigabytes = 125
    assert zonal.found().gigabytes == 125
    assert volumes.failed("web1", before, change) == ""
    assert "zoneOperations.get" in zonal.compute.methods


def test_a_regional_disk_is_asked_for_and_looked_at_where_it_lives(cloud):
    cloud.compute.attach("web1", "persistent-disk-1", cloud.compute.add_disk("shop-data", 100, f"regions/{REGION}"))
    volumes, found = cloud.volumes, cloud.found()
    assert found == Volume(id=REGIONAL, provider="gcp", region=REGION, gigabytes=100)
    change = volumes.grow("web1", found, 125, "intent-1")
    assert volumes.failed("web1", found, change) == ""
    cloud.compute.finish()
    assert cloud.compute.methods[-3:] == ["regionDisks.get", "regionDisks.resize", "regionOperations.get"]
    assert cloud.compute.disks[REGIONAL]["sizeGb"] == "125"


def test_a_request_whose_answer_was_lost_is_the_same_request_when_it_is_made_again(zonal):
    volumes, found = zonal.volumes, zonal.found()
    zonal.compute.http.instead += [None, LOST]
    with pytest.raises(Transient):
        volumes.grow("web1", found, 125, "intent-1")
    volumes.grow("web1", found, 125, "intent-1")
    assert [one["clientOperationId"] for one in zonal.compute.operations.values()] == [
        zonal.resized()[0][0]["requestId"]
    ]
    assert len(zonal.resized()) == 2
    volumes.grow("web1", found, 125, "intent-2")
    assert len({query["requestId"] for query, _ in zonal.resized()}) == 2


def test_a_disk_never_shrinks_and_one_that_has_changed_since_is_left_alone(zonal):
    volumes, found = zonal.volumes, zonal.found()
    for size in (100, 99):
        with pytest.raises(Permanent, match=f"is not grown from 100 to {size} GB"):
            volumes.grow("web1", found, size, "intent-1")
    zonal.compute.disks[ZONAL]["sizeGb"] = "200"
    with pytest.raises(Permanent, match="has 200 GB by now"):
        volumes.grow("web1", found, 125, "intent-1")
    assert zonal.resized() == []


def test_a_disk_of_another_project_or_cloud_than_the_host_s_is_not_grown(zonal):
    found = zonal.found()
    elsewhere, odd = ZONAL.replace(PROJECT, "other-project"), f"{ZONAL}/../../x"
    for volume, why in (
        (found.with_(id=elsewhere), f"{elsewhere} is no disk of {PROJECT}"),
        (found.with_(id=odd), f"{odd} is no disk of {PROJECT}"),
        (found.with_(provider="aws"), f"{ZONAL} is not grown"),
    ):
        with pytest.raises(Permanent) as told:
            zonal.volumes.grow("web1", volume, 125, "intent-1")
        assert str(told.value).startswith(why)
    assert zonal.resized() == []


@pytest.mark.parametrize(
    ("links", "attached", "why"),
    [
        ((), {}, "the disk of sdb1 has no link google-… in /dev/disk/by-id"),
        (("other",), {}, f"other is not one persistent disk of {PROJECT}'s instance web1"),
        (("persistent-disk-1", "boot"), {}, f"persistent-disk-1, boot is not one persistent disk of {PROJECT}'s instance web1"),
        (("persistent-disk-1",), {"mode": "READ_ONLY"}, "shop-data is attached read-only"),
        (("persistent-disk-1",), {"source": f"https://www.googleapis.com/compute/v1/{ZONAL.replace(PROJECT, 'x-1')}"},
         f"persistent-disk-1 is not one persistent disk of {PROJECT}'s instance web1"),
    ],
)  # fmt: skip
def test_what_is_not_surely_the_host_s_own_disk_says_so(cloud, links, attached, why):
    cloud.compute.attach("web1", "persistent-disk-1", cloud.compute.add_disk("shop-data", 100), **attached)
    cloud.host.links = links
    cloud.found(why)


def test_a_local_ssd_is_no_persistent_disk(cloud):
    told = {"kind": "compute#attachedDisk", "type": "SCRATCH", "deviceName": "local-nvme-ssd-0", "interface": "NVME"}
    next(iter(cloud.compute.instances.values()))["disks"].append(told)
    cloud.host.links = ("local-nvme-ssd-0",)
    cloud.found(f"local-nvme-ssd-0 is not one persistent disk of {PROJECT}'s instance web1")


def test_a_disk_in_another_state_a_hyperdisk_and_one_of_many_instances_are_left_to_people(zonal):
    disk = zonal.compute.disks[ZONAL]
    disk["status"] = "RESTORING"
    zonal.found("shop-data is RESTORING")
    disk["status"] = "READY"
    disk["type"] = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/zones/{ZONE}/diskTypes/hyperdisk-balanced"
    zonal.found("shop-data is a Hyperdisk, which has a way of its own to grow")
    disk["type"] = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/zones/{ZONE}/diskTypes/pd-ssd"
    disk["users"].append("https://www.googleapis.com/compute/v1/projects/p/zones/z/instances/web2")
    zonal.found("shop-data is attached to 2 instances")


def test_an_instance_of_the_same_disk_names_that_is_not_the_host_s_is_told_by_its_size(zonal):
    """Google's own names (persistent-disk-1) are the same on every instance."""
    zonal.host.gigabytes = 50
    zonal.found("the host sees 50 GB where shop-data has 100: it is another disk, or not seen yet")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(403, "Required 'compute.disks.resize' permission for 'shop-data'", "forbidden"), Denied,
         "it needs compute.disks.resize"),
        (error(403, "Quota 'SSD_TOTAL_GB' exceeded. Limit: 500.0", "quotaExceeded", "usageLimits"), Permanent,
         "Quota 'SSD_TOTAL_GB' exceeded. Limit: 500.0 .a quota of the project."),
        (error(403, "Rate Limit Exceeded", "rateLimitExceeded", "usageLimits"), Transient, "Rate Limit Exceeded"),
        (error(403, "Compute Engine API has not been used in project", "accessNotConfigured", "usageLimits"), Denied,
         "has not been used"),
        (error(400, "Invalid value for field 'sizeGb'", "invalid"), Permanent, "Invalid value for field"),
        (error(404, "The resource was not found", "notFound"), NotFound, "HTTP 404: The resource was not found"),
        (error(429, "Too many", "rateLimitExceeded"), Transient, "Too many"),
        (error(503, "Backend Error", "backendError"), Transient, "HTTP 503"),
        (Reply(502, "<html>Bad gateway</html>"), Transient, "HTTP 502"),
        (Reply(403, "<html>a proxy</html>"), Denied, "it needs compute.disks.resize"),
        (Reply(200, "[]"), Transient, "the answer was no object"),
        (HANGS, Transient, "gcp: "),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_our_words(zonal, answer, kind, words):
    volumes, found = zonal.volumes, zonal.found()
    zonal.compute.http.instead += [None, answer]
    with pytest.raises((Permanent, Transient), match=words) as told:
        volumes.grow("web1", found, 125, "intent-1")
    assert type(told.value) is kind


def test_an_operation_that_ended_without_effect_is_told_at_once(zonal):
    volumes, found = zonal.volumes, zonal.found()
    action = GrowVolume(host="web1", mount="/data", volume=found, to=125)
    writers: Any = type("Writers", (), {"volumes": volumes})
    intent: Any = type("Intent", (), {"key": "intent-1", "effect": None})
    assert action.failed(writers, intent) == ""
    intent.effect = action.apply(writers, intent)
    assert intent.effect.note == f"{ZONAL} grows from 100 to 125 GB"
    assert action.failed(writers, intent) == ""
    zonal.compute.finish(code="QUOTA_EXCEEDED", message="Quota 'SSD_TOTAL_GB' exceeded.")
    assert action.failed(writers, intent) == "gcp: QUOTA_EXCEEDED: Quota 'SSD_TOTAL_GB' exceeded."
    assert action.holds(writers, intent) is False
    again = zonal.resized()[0][0]["requestId"]
    with pytest.raises(Permanent, match="QUOTA_EXCEEDED"):
        volumes.grow("web1", found, 125, "intent-1")
    assert zonal.resized()[1][0]["requestId"] == again
    intent.effect = Effect(items=("operation-nobody-knows",))
    with pytest.raises(NotFound):
        action.failed(writers, intent)


def test_the_doctor_s_look_asks_for_the_instance_and_its_disks(zonal):
    zonal.volumes.check("web1")
    assert zonal.compute.methods == ["instances.get", "disks.get", "disks.get"]
    zonal.compute.http.instead.append(error(403, "Required 'compute.instances.get' permission", "forbidden"))
    with pytest.raises(Denied, match=r"it needs compute\.instances\.get"):
        zonal.volumes.check("web1")
