"""The page on basic clean-ups, on disks that are really full; each guard with its twin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.runbooks.linux.disk_pressure import RUNBOOK
from tests.pages.full_disk import OLD_DATA, Old, full

LOG = Old("log/shop/access.log.3.gz", 9, days=8)
DATA = Old("lib/shop/data.bin", 23)
FULL = {"/var": full(LOG, OLD_DATA, DATA)}


@pytest.fixture
def ward(cleaning):
    """A host whose compressed logs of last week are all that there is to give."""
    return lambda scratch=None: cleaning(scratch or FULL, page=RUNBOOK)


def went_well(site) -> None:
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.steps(ended) == [("journal_vacuum", "done"), ("remove_old_logs", "done")]
    assert site.there(f"/var/{LOG.path}") == [False]


def refused(site, guard: str):
    ended = site.treat()
    assert guard in site.refusals(ended)
    return ended


def nothing_was_touched(site) -> None:
    assert site.there(f"/var/{LOG.path}", f"/var/{OLD_DATA.path}") == [True, True]


def test_old_compressed_logs_go_also_in_folders_and_what_is_in_var_tmp_stays(ward):
    site = ward()
    went_well(site)
    assert site.there(f"/var/{OLD_DATA.path}", f"/var/{DATA.path}") == [True, True]
    told = site.notebook.sent[-1].message.fields
    assert told["mount"].startswith("/var at 9")
    assert told["now_at"].startswith("7")
    assert "remove_old_logs 9.4 MB (done)" in told["action"]


def test_people_hear_with_the_trend_and_three_steps_where_that_was_not_enough(ward):
    site = ward({"/var": full(Old("log/shop.log.2.gz", 1, days=8), Old("lib/shop/data.bin", 42))})
    ended = site.treat()
    assert ended.phase is Phase.ESCALATE
    bundle = next(one.message.bundle for one in site.notebook.sent if one.message.kind == "escalation")
    assert bundle["audit_log"] == ["journal_vacuum: 0 B (done)", "remove_old_logs: 1.0 MB (done)"]
    assert bundle["trend_5min"].endswith("MB in 5 min, by 5 s of two looks")
    assert len(bundle["three_next_steps"]) == 3


def test_containers_of_a_kubernetes_node_are_its_kubelets(ward):
    site = ward({"/var": full(LOG, OLD_DATA, DATA, Old("lib/kubelet/config.yaml", 0.1), Old("lib/docker/x", 0.1))})
    site.options(dockerPruneEnabled=True)
    ended = site.treat()
    assert "docker_prune" not in dict(site.steps(ended))


def test_disk_pressure__host_opt_in(ward):
    site = ward()
    site.allow("memory")
    assert refused(site, "host_opt_in").phase is Phase.ESCALATE
    nothing_was_touched(site)


def test_disk_pressure__host_opt_in__allowed(ward):
    went_well(ward())


def test_disk_pressure__host_cooldown(ward):
    """Another runbook has just acted on this host: this cycle is left out."""
    site = ward()
    site.spend("host_cooldown:host:web1")
    assert refused(site, "host_cooldown").ending == "suppressed"
    nothing_was_touched(site)


def test_disk_pressure__host_cooldown__allowed(ward):
    site = ward()
    site.spend("host_cooldown:host:web2")
    went_well(site)


def test_disk_pressure__protected_logs(ward):
    site = ward({"/var": full(Old("log/audit/audit.log.1.gz", 9, days=8), Old("lib/shop/data.bin", 33))})
    ended = refused(site, "protected_logs")
    assert ended.phase is Phase.ESCALATE
    assert site.there("/var/log/audit/audit.log.1.gz") == [True]


def test_disk_pressure__protected_logs__allowed(ward):
    site = ward({"/var": full(Old("log/audit/audit.log.1.gz", 0.5, days=8), LOG, OLD_DATA, DATA)})
    went_well(site)
    assert site.there("/var/log/audit/audit.log.1.gz") == [True]


def docker_planned(ward):
    site = ward({"/var": full(Old("lib/docker/image.bin", 42))})
    site.options(dockerPruneEnabled=True)
    return site


def test_disk_pressure__docker_opt_in(ward):
    site = docker_planned(ward)
    incident = site.take()
    site.run(incident, until=Phase.ACT, deliver=False)
    site.policy = replace(site.policy, options={})
    ended = site.run(incident, most=600)
    assert "docker_opt_in" in site.refusals(ended)
    assert "docker_prune" not in dict(site.steps(ended))


def test_disk_pressure__docker_opt_in__allowed(ward):
    site = docker_planned(ward)
    assert dict(site.steps(site.treat()))["docker_prune"] == "failed"  # there is no docker on this host


def test_disk_pressure__same_filesystem(ward):
    """What the plan is about is mounted over by the time of acting: it is another disk's."""
    site = ward()
    incident = site.take()
    site.run(incident, until=Phase.ACT, deliver=False)
    site.machine.as_root("mount", "-t", "tmpfs", "tmpfs", "/var/log")
    site.let_pass(40)
    ended = site.run(incident, most=600)
    assert "same_filesystem" in site.refusals(ended)
    site.machine.as_root("umount", "/var/log")
    nothing_was_touched(site)


def test_disk_pressure__same_filesystem__allowed(ward):
    went_well(ward())


def test_disk_pressure__dry_run(ward):
    site = ward()
    ended = site.treat(Mode.DRY_RUN)
    assert ended.ending == "rehearsed"
    told = " ".join(site.texts(ended.id, "rehearsal"))
    assert "remove 1 files of 9.4 MB on web1: /var/log/shop/access.log.3.gz (9.4 MB)" in told
    nothing_was_touched(site)


def test_disk_pressure__dry_run__allowed(ward):
    went_well(ward())


def test_disk_pressure__confidence_floor(ward):
    site = ward()
    site.policy = replace(site.policy, floor=95)
    assert refused(site, "confidence_floor").phase is Phase.ESCALATE
    nothing_was_touched(site)


def test_disk_pressure__confidence_floor__allowed(ward):
    site = ward()
    site.policy = replace(site.policy, floor=90)
    went_well(site)
