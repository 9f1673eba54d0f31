"""Between the floor and the level of escalation, on disks that are really that full: reported, and looked at again."""

from __future__ import annotations

import pytest

from byteport.records.incident import Phase
from byteport.runbooks.linux.disk_space_auto_reclaim import RUNBOOK
from tests.pages.full_disk import Old, Scratch, full

LEFT = Old("tmp/left-behind.bin", 4, days=8)
DATA = "lib/shop/data.bin"
FULL = {"/var": full(LEFT, Old(DATA, 35))}
HOUR = 3600.0


@pytest.fixture
def ward(cleaning):
    return lambda scratch=None: cleaning(scratch or FULL, page=RUNBOOK)


def between(site):
    """An incident that has ended there a moment ago."""
    ended = site.treat()
    assert ended.ending == "partially_resolved", site.story(ended)
    return ended


def looked_again(site, owing):
    """What came of the look an hour later."""
    site.let_pass(HOUR)
    site.engine().tend()
    (told,) = [event for event in site.ledger.events(owing.id) if event.kind == "looked_again"]
    return site.run(told.data["incident"], most=600)


def escalations(site):
    """What people were told, without how the clean-up had ended."""
    return [one.message for one in site.notebook.sent if one.message.kind == "escalation"]


def test_it_is_reported_and_nobody_is_woken(ward):
    site = ward()
    between(site)
    assert 80 <= site.used() <= 85
    assert escalations(site) == []
    assert {one.message.title.split()[-1] for one in site.notebook.sent} == {"partially_resolved"}
    assert site.ledger.held_locks() == []


def test_what_has_not_fallen_an_hour_later_is_told_and_not_cleaned_a_second_time(ward):
    site = ward()
    owing = between(site)
    ended = looked_again(site, owing)
    assert ended.phase is Phase.ESCALATE, site.story(ended)
    assert ended.reason.startswith("60 min after all steps the floor is not reached")
    assert site.steps(ended) == []
    bundle = escalations(site)[0].bundle
    assert {one.channel for one in escalations(site)} == {"postmark", "slack"}
    assert bundle["bytes_reclaimed_per_step"]["caches"] == "4.2 MB (done)"
    assert bundle["recommended_plus_gb"] == 1
    assert bundle["follows"].endswith(owing.id)
    assert "->" in bundle["used_pct_per_mount"]["/var"]


def test_what_has_fallen_meanwhile_closes_and_nobody_hears_of_it(ward):
    site = ward()
    owing = between(site)
    told = len(site.notebook.sent)
    (site.machine.root / "var" / DATA).unlink()
    ended = looked_again(site, owing)
    assert ended.ending == "recovered", site.story(ended)
    assert len(site.notebook.sent) == told


def test_a_mount_that_is_fuller_by_then_is_told_and_not_cleaned(ward):
    site = ward()
    owing = between(site)
    (site.machine.root / "var/lib/shop/more.bin").write_bytes(b"x" * 4_000_000)
    assert site.used() > 85
    ended = looked_again(site, owing)
    assert ended.phase is Phase.ESCALATE
    assert site.steps(ended) == []
    assert len(escalations(site)) == 2  # a message a channel


def test_another_signal_within_the_hour_is_cleaned_as_ever(ward):
    site = ward()
    between(site)
    (site.machine.root / "var/lib/shop/more.bin").write_bytes(b"x" * 4_000_000)
    site.let_pass(11 * 60)
    with site.ledger.begin_rebuild() as (epoch, spends):  # the budgets' own clock has stood still
        site.budgets.rebuild(epoch, spends)
    again = site.treat()
    assert ("journal_vacuum", "done") in site.steps(again), site.story(again)


def test_where_inodes_ran_out_it_is_inodes_that_are_looked_at_an_hour_later(ward):
    """By then neither is over its threshold, and which of the two it was is what the first incident saw."""
    young = tuple(Old(f"lib/shop/part-{n}", 0) for n in range(180))
    small = tuple(Old(f"tmp/session-{n}", 0, days=8) for n in range(150))
    site = ward({"/var": Scratch("ext4", 64, options=("-N", "1200"), files=(*small, *young))})
    ended = looked_again(site, between(site))
    assert ended.phase is Phase.ESCALATE, site.story(ended)
    assert site.used() < 80
