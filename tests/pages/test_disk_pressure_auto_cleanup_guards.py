"""The page on ordered clean-ups: each guard with its twin, on disks that are really full."""

from __future__ import annotations

from dataclasses import replace

import pytest

from byteport.model.signal import Mode
from byteport.records.incident import Phase
from tests.pages.full_disk import OLD_DATA, OLD_LOG, Old, full
from tests.pages.test_disk_pressure_auto_cleanup import CROWDED

KEY = "host_disk_cleanup:host:web1:/var"
NEARLY = {"/var": full(OLD_LOG, OLD_DATA, Old("lib/shop/data.bin", 26))}
DEBS = Old("cache/apt/archives/shop_1_all.deb", 10)


def went_well(site, *steps: str) -> None:
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert [move for move, how in site.steps(ended) if how == "done"] == list(steps)


def nothing_was_touched(site) -> None:
    assert site.there("/var/tmp/left-behind.bin", "/var/log/shop.log.1") == [True, True]


def refused(site, guard: str):
    ended = site.treat()
    assert guard in site.refusals(ended)
    return ended


def rewritten(site, text: str, mode: int = 0o644) -> None:
    file = site.machine.root / "etc/byteport/host.yaml"
    file.write_text(text)
    file.chmod(mode)


@pytest.mark.parametrize("what", ["another word", "anybody may write it", "no file", "a link"])
def test_disk_pressure_auto_cleanup__host_opt_in(cleaning, what):
    site = cleaning()
    file = site.machine.root / "etc/byteport/host.yaml"
    match what:
        case "another word":
            rewritten(site, "byteport.io/auto-remediate: cpu,disks\n")
        case "anybody may write it":
            rewritten(site, "byteport.io/auto-remediate: disk\n", 0o646)
        case "no file":
            file.unlink()
        case "a link":
            file.rename(file.with_name("other.yaml"))
            file.symlink_to("other.yaml")
    ended = refused(site, "host_opt_in")
    assert ended.phase is Phase.ESCALATE
    nothing_was_touched(site)


def test_disk_pressure_auto_cleanup__host_opt_in__allowed(cleaning):
    site = cleaning()
    rewritten(site, "byteport.io/auto-remediate: [cpu, disk]\n")
    went_well(site, "rotate_logs")


def up_to(site, incident: str, cursor: int) -> None:
    for _ in range(400):
        if site.now(incident).cursor >= cursor and site.now(incident).phase is Phase.ACT:
            return
        moved = site.step(incident)
        if (moved is None or not moved.is_due_now) and (wait := site.wait_of(incident)) > 0:
            site.let_pass(wait + 0.05)
    raise AssertionError("it never came so far")


def test_disk_pressure_auto_cleanup__stop_on_floor(cleaning):
    """Somebody makes room after the plan's own look: the next step is left out."""
    site = cleaning(CROWDED)
    incident = site.take()
    up_to(site, incident, 4)
    (site.machine.root / "var/lib/shop/data.bin").unlink()
    site.let_pass(40)
    ended = site.run(incident, most=600)
    assert "stop_on_floor" in site.refusals(ended)
    assert ended.ending == "resolved"
    nothing_was_touched(site)


def test_disk_pressure_auto_cleanup__stop_on_floor__allowed(cleaning):
    went_well(cleaning(CROWDED), "journal_vacuum", "tmp_sweep")


def test_disk_pressure_auto_cleanup__host_cooldown_24h(cleaning):
    """At less than 90 % a second time within the day ends quietly, as somebody has done all there was."""
    site = cleaning()
    site.spend(KEY)
    ended = refused(site, "host_cooldown_24h")
    assert ended.ending == "suppressed"
    nothing_was_touched(site)


@pytest.mark.parametrize(("scratch", "on_hit"), [(NEARLY, "escalate"), (CROWDED, "page")])
def test_within_the_cooldown_a_fuller_disk_is_told_at_once(cleaning, scratch, on_hit):
    site = cleaning(scratch)
    site.spend(KEY)
    ended = refused(site, "host_cooldown_24h")
    assert ended.phase is Phase.ESCALATE
    assert site.verdicts(ended.id)[-1]["on_hit"] == on_hit
    assert [one.message.kind for one in site.notebook.sent] == ["escalation", "escalation"]
    nothing_was_touched(site)


def test_disk_pressure_auto_cleanup__host_cooldown_24h__allowed(cleaning):
    """Two steps of one cycle are one; another mount's are not its."""
    site = cleaning(CROWDED)
    site.spend("host_disk_cleanup:host:web1:/data")
    went_well(site, "journal_vacuum", "tmp_sweep")


def test_disk_pressure_auto_cleanup__safe_list(cleaning):
    site = cleaning({"/var": full(Old("tmp/auth.log", 10, days=9), OLD_LOG, Old("lib/shop/data.bin", 27.2))})
    ended = refused(site, "safe_list")
    assert ended.phase is Phase.ESCALATE
    assert site.there("/var/tmp/auth.log") == [True]


def test_disk_pressure_auto_cleanup__safe_list__allowed(cleaning):
    """What is on it is left out, the rest goes."""
    site = cleaning({"/var": full(Old("tmp/auth.log", 1, days=9), OLD_DATA, OLD_LOG, Old("lib/shop/data.bin", 26.2))})
    went_well(site, "journal_vacuum", "tmp_sweep")
    assert site.there("/var/tmp/auth.log", "/var/tmp/left-behind.bin") == [True, False]


def with_docker(cleaning):
    """What docker keeps lies there; its client does not, so that the step is known to fail where it is made."""
    site = cleaning({"/var": full(Old("lib/docker/image.bin", 41), Old("tmp/left-behind.bin", 1, days=9))})
    site.options(dockerPruneEnabled=True)
    return site


def test_disk_pressure_auto_cleanup__docker_opt_in(cleaning):
    """Switched off again after it was planned."""
    site = with_docker(cleaning)
    incident = site.take()
    site.run(incident, until=Phase.ACT, deliver=False)
    site.policy = replace(site.policy, options={})
    ended = site.run(incident, most=600)
    assert "docker_opt_in" in site.refusals(ended)
    assert "docker_prune" not in dict(site.steps(ended))


def test_disk_pressure_auto_cleanup__docker_opt_in__allowed(cleaning):
    site = with_docker(cleaning)
    ended = site.treat()
    assert "docker_opt_in" not in site.refusals(ended)
    assert dict(site.steps(ended))["docker_prune"] == "failed"


def test_disk_pressure_auto_cleanup__package_opt_in(cleaning):
    site = cleaning({"/var": full(DEBS, Old("lib/shop/data.bin", 33))})
    site.options(packageCachePruneEnabled=True)
    incident = site.take()
    site.run(incident, until=Phase.ACT, deliver=False)
    site.policy = replace(site.policy, options={})
    ended = site.run(incident, most=600)
    assert "package_opt_in" in site.refusals(ended)
    assert site.there(f"/var/{DEBS.path}") == [True]


def test_disk_pressure_auto_cleanup__package_opt_in__allowed(cleaning):
    site = cleaning({"/var": full(DEBS, Old("lib/shop/data.bin", 33))})
    site.options(packageCachePruneEnabled=True)
    went_well(site, "journal_vacuum", "package_cache")
    assert site.there(f"/var/{DEBS.path}") == [False]


def test_disk_pressure_auto_cleanup__dry_run(cleaning):
    site = cleaning()
    assert site.treat(Mode.DRY_RUN).ending == "rehearsed"
    nothing_was_touched(site)


def test_disk_pressure_auto_cleanup__dry_run__allowed(cleaning):
    went_well(cleaning(), "rotate_logs")


def test_disk_pressure_auto_cleanup__confidence_floor(cleaning):
    site = cleaning()
    site.policy = replace(site.policy, floor=95)
    ended = refused(site, "confidence_floor")
    assert ended.phase is Phase.ESCALATE
    nothing_was_touched(site)


def test_disk_pressure_auto_cleanup__confidence_floor__allowed(cleaning):
    site = cleaning()
    site.policy = replace(site.policy, floor=90)
    went_well(site, "rotate_logs")
