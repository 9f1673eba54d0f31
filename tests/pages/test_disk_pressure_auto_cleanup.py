"""The page on ordered clean-ups, on disks that are really full."""

from __future__ import annotations

import pytest

from byteport.model.signal import Mode
from byteport.records.incident import Phase
from tests.pages.full_disk import OLD_DATA, OLD_LOG, Old, Scratch, full

BIG = Old("lib/shop/data.bin", 27.2)
CROWDED = {"/var": full(OLD_LOG, OLD_DATA, BIG)}
HOPELESS = {"/var": full(OLD_LOG, Old("tmp/left-behind.bin", 1, days=9), Old("lib/shop/data.bin", 37))}


def test_it_cleans_in_order_and_stops_at_the_floor(cleaning):
    site = cleaning()
    assert site.used() > 85
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.used() < 80
    assert site.steps(ended) == [("rotate_logs", "done")]
    assert site.there("/var/log/shop.log.1", "/var/log/shop.log.1.gz") == [False, True]
    assert site.there("/var/tmp/left-behind.bin", "/var/lib/shop/data.bin") == [True, True]


def test_it_goes_on_to_the_next_step_where_one_is_not_enough(cleaning):
    """There is no room to compress the log beside itself; the journal has nothing to give."""
    site = cleaning(CROWDED)
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.steps(ended) == [("journal_vacuum", "done"), ("tmp_sweep", "done")]
    assert site.there("/var/tmp/left-behind.bin", "/var/log/shop.log.1") == [False, True]
    told = site.notebook.sent[-1].message
    assert told.kind == "resolution"
    assert "tmp_sweep 10.5 MB (done)" in told.fields["steps"]
    assert told.fields["mount"].startswith("/var 9")


def test_xfs_is_cleaned_as_ext4_is(cleaning):
    files = (Old("log/shop.log.1", 25, days=9, fill=b"a line\n"), Old("tmp/left-behind.bin", 20, days=9),
             Old("lib/shop/data.bin", 152))  # fmt: skip
    site = cleaning({"/var": Scratch("xfs", 320, options=("-m", "bigtime=0"), files=files)})
    assert site.used() > 85
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.steps(ended) == [("rotate_logs", "done")]
    assert "xfs" in ended.diagnosis.because
    assert site.there("/var/log/shop.log.1", "/var/log/shop.log.1.gz") == [False, True]


def test_people_hear_of_what_no_step_could_free(cleaning):
    """With the bytes of each step, what is large, and who keeps a deleted file open."""
    site = cleaning(HOPELESS)
    site.machine.as_root("sh", "-c", "exec 9>/var/lib/shop/gone.bin; head -c 900000 /dev/zero >&9;"
                         " rm /var/lib/shop/gone.bin; sleep 600 >/dev/null 2>&1 <&- & :")  # fmt: skip
    ended = site.treat()
    assert ended.phase is Phase.ESCALATE
    assert "80 % is not reached after every step" in ended.reason
    told = [one.message for one in site.notebook.sent if one.message.bundle]
    assert {one.channel for one in told} == {"postmark", "github_issue"}
    bundle = told[-1].bundle
    assert set(bundle["bytes_per_step"]) == {"journal_vacuum", "tmp_sweep"}
    assert bundle["bytes_per_step"]["tmp_sweep"] == "1.0 MB (done)"
    assert any("/var/lib/shop/gone.bin: kept open by sleep" in line for line in bundle["deleted_but_open"])
    assert any("/var/log" in line for line in bundle["residual_top_consumers"])
    assert any("du -xh -d 3 /var" in line for line in bundle["manual_commands"])
    assert site.there("/var/lib/shop/data.bin") == [True]


def test_a_step_that_fails_is_written_down_and_the_next_one_runs(cleaning):
    site = cleaning(CROWDED)
    (site.machine.root / "usr/bin/journalctl").rename(site.machine.root / "usr/bin/journalctl.away")
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    assert site.steps(ended) == [("journal_vacuum", "failed"), ("tmp_sweep", "done")]
    assert "journal_vacuum 0 B (failed: byteport-" in site.notebook.sent[-1].message.fields["steps"]


def test_people_are_told_at_once_where_it_fills_while_it_is_cleaned(cleaning):
    site = cleaning(CROWDED)
    incident = site.take()
    site.run(incident, until=Phase.ACT, deliver=False)
    with (site.machine.root / "var/lib/shop/more.bin").open("wb") as more:
        more.write(b"x" * 1_500_000)
    ended = site.run(incident, most=600)
    site.engine().deliver_due()  # how it ended is told after what was told before
    assert ended.ending == "resolved", site.story(ended)
    kinds = [one.message.kind for one in site.notebook.sent]
    assert (kinds.count("escalation"), kinds.count("resolution")) == (2, 2)
    first = site.notebook.sent[0].message
    assert "the disk fills while it is cleaned" in first.text


def test_what_is_not_full_any_more_is_left_alone(cleaning):
    site = cleaning()
    (site.machine.root / "var/lib/shop/data.bin").unlink()
    ended = site.treat()
    assert (ended.ending, site.steps(ended)) == ("recovered", [])
    assert site.there("/var/log/shop.log.1", "/var/tmp/left-behind.bin") == [True, True]


def test_a_host_whose_sudo_lets_nothing_through_is_for_people(cleaning):
    """What cannot be listed is not touched, and it is said why."""
    site = cleaning(CROWDED)
    site.machine.install_sudoers(["# nothing"])
    ended = site.treat()
    assert ended.phase is Phase.ESCALATE
    assert site.there("/var/tmp/left-behind.bin", "/var/log/shop.log.1") == [True, True]
    bundle = next(one.message.bundle for one in site.notebook.sent if one.message.kind == "escalation")
    assert any(
        line.startswith("var_tmp_files: denied: web1: sudo does not let it through") for line in bundle["not_listed"]
    )


def test_a_host_that_does_not_answer_is_for_people(cleaning):
    site = cleaning()
    incident = site.take()
    site.machine.as_root("systemctl", "stop", "ssh.service", "ssh.socket")
    site.hosts.close()
    ended = site.run(incident, most=600)
    assert (ended.phase, site.steps(ended)) == (Phase.ESCALATE, [])
    assert ended.diagnosis.name == "inconclusive"


def test_another_mount_of_the_host_is_another_matter(cleaning):
    """The clean-up of /var says nothing about /srv, and what lies on /var does not help /srv."""
    site = cleaning({"/var": full(), "/srv": full(Old("shop.bin", 47))})
    ended = site.treat()
    assert ended.ending == "resolved", site.story(ended)
    site.mount = "/srv"
    ended = site.treat()
    assert (ended.phase, site.steps(ended)) == (Phase.ESCALATE, [])
    assert "host_cooldown_24h" not in site.refusals(ended)


@pytest.mark.parametrize(
    "young", [Old("tmp/left-behind.bin", 10, days=6.9), Old("lib/shop/left-behind.bin", 10, days=9)]
)
def test_what_is_too_young_or_elsewhere_stays(cleaning, young):
    site = cleaning({"/var": full(young, Old("lib/shop/data.bin", 24), Old("log/other.bin", 5, days=9))})
    ended = site.treat()
    assert ended.phase is Phase.ESCALATE
    assert site.there(f"/var/{young.path}", "/var/log/other.bin") == [True, True]


def test_a_dry_run_lists_exactly_what_would_go(cleaning):
    site = cleaning(CROWDED)
    ended = site.treat(Mode.DRY_RUN)
    assert ended.ending == "rehearsed"
    told = " ".join(site.texts(ended.id, "rehearsal"))
    assert "remove 1 files of 10.5 MB on web1: /var/tmp/left-behind.bin (10.5 MB)" in told
    assert site.there("/var/tmp/left-behind.bin", "/var/log/shop.log.1") == [True, True]
