"""The page that reclaims space, on disks that are really full, of bytes and of inodes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from byteport.model.facts.disks import ContainerUse, FileSystem, FoundFile, FoundFiles, Image, Volume
from byteport.model.signal import Mode
from byteport.model.target import Target, TargetKind
from byteport.model.units import hours
from byteport.records.incident import Phase
from byteport.runbooks.linux.disk_space_auto_reclaim import RUNBOOK, in_this_order
from byteport.runbooks.linux.reclaim_containers import removable
from byteport.runbooks.linux.reclaim_evidence import ReclaimEvidence
from tests.pages.full_disk import Old, Scratch, full
from tests.pages.test_disk_pressure_auto_cleanup_guards import up_to

ENTRY = "{path} {{\n  rotate 2\n  compress\n  missingok\n}}\n"
LOG = Old("log/shop.log", 2.5, fill=b"a line of a log that is written to\n")
LEFT = Old("tmp/left-behind.bin", 9, days=8)
FULL = {"/var": full(LOG, LEFT, Old("lib/shop/data.bin", 29))}
HOPELESS = {"/var": full(Old("lib/shop/data.bin", 40), Old("tmp/left-behind.bin", 1, days=8))}
CLOUD = Volume(id="vol-0123456789abcdef0", provider="aws", region="eu-central-1", gigabytes=100)


@pytest.fixture
def ward(cleaning):
    def start(scratch=None, **more):
        site = cleaning(scratch or FULL, page=RUNBOOK, **more)
        rotated(site, "shop", "/var/log/shop.log")
        return site

    return start


def rotated(site, name: str, path: str) -> None:
    (site.machine.root / "etc/logrotate.d" / name).write_text(ENTRY.format(path=path))


def began(site, ended) -> list[str]:
    return [move for move, how in site.steps(ended) if how == "done"]


def test_it_frees_in_order_and_stops_at_the_floor(ward):
    site = ward()
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.used() < 80
    assert began(site, ended) == ["rotate_logs", "rotate_due_logs", "journal_vacuum", "caches"]
    assert site.there("/var/log/shop.log.1.gz", "/var/tmp/left-behind.bin", "/var/lib/shop/data.bin") == [
        True,
        False,
        True,
    ]
    told = site.notebook.sent[-1].message.fields
    assert "rotate_logs 2.6 MB (done)" in told["reclaimed"]
    assert "caches 9.4 MB (done)" in told["reclaimed"]


def test_a_forced_rotation_touches_what_lies_on_the_mount_alone(ward):
    """Entries with a log elsewhere stay as they are."""
    site = ward()
    elsewhere = site.machine.root / "srv/other.log"
    elsewhere.write_text("a line\n")
    rotated(site, "other", "/srv/other.log")
    rotated(site, "both", '/var/log/alternatives.log "/srv/other.log"')
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.there("/srv/other.log.1.gz", "/var/log/alternatives.log.1.gz") == [False, False]
    assert elsewhere.read_text() == "a line\n"


def log_of(name: str, megabytes: int, written: int) -> FoundFile:
    size = megabytes * 10**6
    return FoundFile(id=f"7:{written}:{size}:{written}:{written + 9}", path=f"/var/log/{name}", bytes=size)


def test_logs_are_compressed_newest_rotated_first_and_one_that_does_not_fit_is_left_out():
    """A host lists the largest first."""
    listed = (log_of("old.log.3", 900, 100), log_of("wide.log.2", 600, 200), log_of("new.log.1", 150, 300))
    fs = FileSystem(
        mount="/var", kind="ext4", bytes_total=10**10, bytes_used=93 * 10**8, bytes_available=7 * 10**8, number=7,
        places={"/var/log": 7},
    )  # fmt: skip
    target = Target(kind=TargetKind.HOST, key="web1:/var", coordinates={"host": "web1", "mount": "/var"})
    facts = {"disk_usage": fs, "big_logs": FoundFiles(files=listed, count=3)}
    e = ReclaimEvidence(target=target, facts=facts, looked_at=datetime(2026, 11, 26, 12, tzinfo=UTC))
    (compressing,) = [step.action for step in in_this_order(e) if step.move == "compress_logs"]
    assert [file.path for file in compressing.files] == ["/var/log/new.log.1", "/var/log/wide.log.2"]


def test_inodes_that_ran_out_come_back_and_nothing_is_compressed(ward):
    small = tuple(Old(f"tmp/session-{n}", 0, days=8) for n in range(330))
    log = Old("log/big.log", 0, days=3)
    site = ward({"/var": Scratch("ext4", 64, options=("-N", "1200"), files=(*small, log))})
    ended = site.treat()
    assert ended.diagnosis.name == "inodes_ran_out"
    assert ended.ending == "resolved", site.story(ended)
    assert "compress_logs" not in began(site, ended)
    assert site.there("/var/tmp/session-0", "/var/tmp/session-329") == [False, False]


def test_people_hear_how_much_more_room_it_needs_and_why_it_was_not_given(ward):
    site = ward(HOPELESS)
    ended = site.treat()
    assert ended.phase is Phase.ESCALATE
    assert "over 85 % after every step" in ended.reason
    bundle = next(one.message.bundle for one in site.notebook.sent if one.message.bundle)
    assert {one.message.channel for one in site.notebook.sent} == {"postmark", "slack"}
    assert bundle["recommended_plus_gb"] == 1
    assert bundle["volume_grow_skipped_reason"] == "policy.allowVolumeGrow is not true"
    assert bundle["bytes_reclaimed_per_step"]["caches"] == "1.0 MB (done)"


def growing(ward):
    """A mount that only more room can help, and a disk that may have it."""
    site = ward(HOPELESS)
    site.options(**{"policy.allowVolumeGrow": True, "policy.growMounts": ["/var"]})
    site.cloud.known = CLOUD
    site.cloud.grows = (site.machine.root / "var/lib/shop/data.bin").unlink
    return site


def test_a_volume_grows_by_a_quarter_where_that_is_allowed(ward):
    site = growing(ward)
    ended = site.treat()
    assert site.cloud.asked == [125]
    assert ended.ending == "resolved", site.story(ended)
    assert "grow_volume" in began(site, ended)


def test_a_growth_that_the_cloud_ends_without_effect_is_told_at_once_and_not_asked_for_again(ward):
    site = growing(ward)
    site.cloud.known = CLOUD.with_(id="projects/acme-example/zones/europe-west3-a/disks/data", provider="gcp")
    site.cloud.refuses = "gcp: QUOTA_EXCEEDED: Quota 'SSD_TOTAL_GB' exceeded."
    ended = site.treat()
    assert ended.phase is Phase.ESCALATE
    assert site.cloud.asked == [125]
    assert "extend_file_system" not in began(site, ended)
    told = next(one.message for one in site.notebook.sent if one.message.bundle)
    assert "QUOTA_EXCEEDED" in str(told)


def test_a_dry_run_says_by_how_much(ward):
    site = growing(ward)
    ended = site.treat(Mode.DRY_RUN)
    assert ended.ending == "rehearsed"
    assert "grow vol-0123456789abcdef0 under /var of web1 from 100 to 125 GB" in " ".join(
        site.texts(ended.id, "rehearsal")
    )
    assert "would extend on web1" in " ".join(site.texts(ended.id, "rehearsal"))
    assert site.cloud.asked == []


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        (Volume(why="dm-0 is LVM, RAID or no disk at all"), "dm-0 is LVM, RAID or no disk at all"),
        (CLOUD.with_(changing=True), "is being changed already"),
        (CLOUD.with_(gigabytes=500), "has 500 GB, the ceiling is 500"),
    ],
)
def test_a_volume_that_is_not_to_be_grown_says_why(ward, volume, why):
    site = growing(ward)
    site.cloud.known = volume
    ended = site.treat()
    assert ended.phase is Phase.ESCALATE
    assert site.cloud.asked == []
    bundle = next(one.message.bundle for one in site.notebook.sent if one.message.bundle)
    assert why in bundle["volume_grow_skipped_reason"]


def test_of_images_the_two_newest_of_a_service_and_those_in_use_stay(ward):
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)

    def image(n: int, repository: str = "shop", age=hours(24 * 9), **more) -> Image:
        created = f"{now - age - hours(n):%Y-%m-%d %H:%M:%S} +0000 UTC"
        return Image(id=f"sha256:{n:064x}", repository=repository, tag=f"v{n}", created=created, **more)

    known = (image(1), image(2), image(3), image(4, containers=1), image(5, "<none>"), image(6, "tool", age=hours(20)))
    found = removable(ContainerUse(images=known), now)
    assert [one.tag for one in found] == ["v3", "v5"]


__all__ = ["up_to"]
