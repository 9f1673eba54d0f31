"""The page that reclaims space: each guard with its twin, on disks that are really full."""

from __future__ import annotations

from dataclasses import replace

import pytest

from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.runbooks.linux.disk_space_auto_reclaim import RUNBOOK
from tests.pages.full_disk import Old, full
from tests.pages.test_disk_pressure_auto_cleanup_guards import up_to
from tests.pages.test_disk_space_auto_reclaim import CLOUD, FULL, HOPELESS, LEFT, growing, rotated

IN_ORDER = ["rotate_logs", "rotate_due_logs", "journal_vacuum", "caches"]


@pytest.fixture
def ward(cleaning):
    def start(scratch=None):
        site = cleaning(scratch or FULL, page=RUNBOOK)
        rotated(site, "shop", "/var/log/shop.log")
        return site

    return start


def went_well(site, steps=None) -> None:
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert [move for move, how in site.steps(ended) if how == "done"] == (IN_ORDER if steps is None else steps)


def refused(site, guard: str, incident: str = ""):
    ended = site.run(incident or site.take(), most=600)
    assert guard in site.refusals(ended)
    return ended


def nothing_was_touched(site) -> None:
    assert site.there("/var/tmp/left-behind.bin", "/var/log/shop.log.1.gz") == [True, False]


def planned(site) -> str:
    incident = site.take()
    site.run(incident, until=Phase.ACT, deliver=False)
    return incident


def test_disk_space_auto_reclaim__host_opt_in(ward):
    site = ward()
    site.allow("cpu")
    assert refused(site, "host_opt_in").phase is Phase.ESCALATE
    nothing_was_touched(site)


def test_disk_space_auto_reclaim__host_opt_in__allowed(ward):
    went_well(ward())


def test_disk_space_auto_reclaim__stop_on_floor(ward):
    site = ward()
    incident = site.take()
    up_to(site, incident, 4)
    (site.machine.root / "var/lib/shop/data.bin").unlink()
    site.let_pass(40)
    assert refused(site, "stop_on_floor", incident).ending == "resolved"
    assert site.there("/var/tmp/left-behind.bin") == [True]


def test_disk_space_auto_reclaim__stop_on_floor__allowed(ward):
    went_well(ward())


def test_disk_space_auto_reclaim__host_cooldown(ward):
    site = ward()
    site.spend("host_cooldown:host:web1")
    assert refused(site, "host_cooldown").ending == "suppressed"
    nothing_was_touched(site)


def test_disk_space_auto_reclaim__host_cooldown__allowed(ward):
    """All steps of one cycle are one."""
    went_well(ward())


def test_disk_space_auto_reclaim__forced_rotation(ward):
    """Once a day for a host: then what is due alone is rotated."""
    site = ward()
    site.spend("disk_space_auto_reclaim.forced_rotation:host:web1")
    went_well(site, IN_ORDER[1:])
    assert site.there("/var/log/shop.log.1.gz") == [False]


def test_disk_space_auto_reclaim__forced_rotation__allowed(ward):
    went_well(ward())


def test_disk_space_auto_reclaim__same_filesystem(ward):
    site = ward()
    incident = planned(site)
    site.machine.as_root("mount", "-t", "tmpfs", "tmpfs", "/var/log")
    site.let_pass(40)
    ended = refused(site, "same_filesystem", incident)
    assert "rotate_logs" not in dict(site.steps(ended))


def test_disk_space_auto_reclaim__same_filesystem__allowed(ward):
    went_well(ward())


def test_disk_space_auto_reclaim__safe_list(ward):
    site = ward({"/var": full(Old("tmp/auth.log", 9, days=8), Old("lib/shop/data.bin", 33))})
    assert refused(site, "safe_list").phase is Phase.ESCALATE
    assert site.there("/var/tmp/auth.log") == [True]


def test_disk_space_auto_reclaim__safe_list__allowed(ward):
    went_well(ward())


CONTAINERS = {"/var": full(Old("lib/docker/image.bin", 42))}


def with_docker(ward):
    """docker's client stands there as it answers, with nothing that is in use."""
    site = ward(CONTAINERS)
    client = site.machine.root / "usr/bin/docker"
    told = '{"Images":[{"ID":"sha256:' + "a" * 64 + '","Repository":"<none>","CreatedAt":"2026-01-02 03:04:05 +0000 UTC","Containers":"0"}]}'  # fmt: skip
    client.write_text(
        f"#!/bin/sh\ncase $1 in system) echo '{told}';; image) rm /var/lib/docker/image.bin; echo \"$*\" >>/var/asked;; esac\n"
    )
    client.chmod(0o755)
    site.options(containerCleanupEnabled=True)
    return site


def test_disk_space_auto_reclaim__container_cleanup_opt_in(ward):
    site = with_docker(ward)
    incident = planned(site)
    site.policy = replace(site.policy, options={})
    ended = refused(site, "container_cleanup_opt_in", incident)
    assert "containers" not in dict(site.steps(ended))
    assert site.there("/var/lib/docker/image.bin") == [True]


def test_disk_space_auto_reclaim__container_cleanup_opt_in__allowed(ward):
    site = with_docker(ward)
    went_well(site, [*IN_ORDER[:3], "containers"])
    assert (site.machine.root / "var/asked").read_text() == f"image rm sha256:{'a' * 64}\n"


DEBS = Old("cache/apt/archives/shop_1_all.deb", 10)


def with_debs(ward):
    site = ward({"/var": full(DEBS, Old("lib/shop/data.bin", 33))})
    site.options(packageCachePruneEnabled=True)
    return site


def test_disk_space_auto_reclaim__package_cache_opt_in(ward):
    site = with_debs(ward)
    incident = planned(site)
    site.policy = replace(site.policy, options={})
    refused(site, "package_cache_opt_in", incident)
    assert site.there(f"/var/{DEBS.path}") == [True]


def test_disk_space_auto_reclaim__package_cache_opt_in__allowed(ward):
    site = with_debs(ward)
    went_well(site, [*IN_ORDER[:3], "package_caches"])
    assert site.there(f"/var/{DEBS.path}") == [False]


def test_disk_space_auto_reclaim__volume_opt_in(ward):
    site = growing(ward)
    incident = planned(site)
    site.policy = replace(site.policy, options={})
    refused(site, "volume_opt_in", incident)
    assert site.cloud.asked == []


def test_disk_space_auto_reclaim__volume_opt_in__allowed(ward):
    site = growing(ward)
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.cloud.asked == [125]


def test_disk_space_auto_reclaim__volume_ceiling(ward):
    """Lowered after it was planned."""
    site = growing(ward)
    incident = planned(site)
    site.options(**{"policy.maxVolumeGb": 110})
    ended = refused(site, "volume_ceiling", incident)
    assert ended.phase is Phase.ESCALATE
    assert site.cloud.asked == []


def test_disk_space_auto_reclaim__volume_ceiling__allowed(ward):
    """Up to the ceiling it grows, and no further."""
    site = growing(ward)
    site.options(**{"policy.maxVolumeGb": 110})
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.cloud.asked == [110]


def test_disk_space_auto_reclaim__volume_growth(ward):
    site = growing(ward)
    site.spend(f"volume_growth:volume:{CLOUD.id}")
    assert refused(site, "volume_growth").phase is Phase.ESCALATE
    assert site.cloud.asked == []


def test_disk_space_auto_reclaim__volume_growth__allowed(ward):
    site = growing(ward)
    site.spend("volume_growth:volume:vol-another")
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.cloud.asked == [125]


def test_disk_space_auto_reclaim__volume_grown(ward):
    """The growth was refused: there is nothing to extend."""
    site = growing(ward)
    incident = planned(site)
    site.options(**{"policy.maxVolumeGb": 110})
    ended = refused(site, "volume_grown", incident)
    assert "extend_file_system" not in dict(site.steps(ended))
    assert ended.phase is Phase.ESCALATE


def test_disk_space_auto_reclaim__volume_grown__allowed(ward):
    site = growing(ward)
    site.cloud.grows = lambda: None
    ended = site.treat()
    assert [move for move, _ in site.steps(ended)][-2:] == ["grow_volume", "extend_file_system"]


def test_a_disk_that_somebody_else_has_enlarged_since_it_was_planned_is_extended(ward):
    site = growing(ward)
    incident = planned(site)
    site.cloud.known = CLOUD.with_(gigabytes=125)
    ended = site.run(incident, most=600)
    assert site.cloud.asked == []
    assert [move for move, _ in site.steps(ended)][-2:] == ["grow_volume", "extend_file_system"], site.story(ended)


def test_disk_space_auto_reclaim__dry_run(ward):
    site = ward()
    assert site.treat(Mode.DRY_RUN).ending == "rehearsed"
    nothing_was_touched(site)


def test_disk_space_auto_reclaim__dry_run__allowed(ward):
    went_well(ward())


def test_disk_space_auto_reclaim__confidence_floor(ward):
    site = ward()
    site.policy = replace(site.policy, floor=95)
    assert refused(site, "confidence_floor").phase is Phase.ESCALATE
    nothing_was_touched(site)


def test_disk_space_auto_reclaim__confidence_floor__allowed(ward):
    site = ward()
    site.policy = replace(site.policy, floor=90)
    went_well(site)


__all__ = ["HOPELESS", "LEFT"]
