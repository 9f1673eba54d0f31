"""A disk that fills again between two steps of its clean-up, although it is not as full as it was at first."""

from __future__ import annotations

import pytest

from tests.pages.full_disk import Old, full
from tests.pages.test_disk_pressure_auto_cleanup_guards import up_to

LOG = Old("log/shop.log.1", 2.5, days=9, fill=b"an old line of a log\n")
FULL = {"/var": full(LOG, Old("tmp/left-behind.bin", 1, days=9), Old("lib/shop/data.bin", 36.5))}


def filling(cleaning, *megabytes: float):
    """The first step has freed five points; while the second is made, so much is written before and after a look that
    nobody planned."""
    site = cleaning(FULL)
    first = site.used()
    incident = site.take()
    up_to(site, incident, 4)
    assert site.used() < first - 4
    for n, size in enumerate(megabytes):
        (site.machine.root / f"var/lib/shop/more-{n}.bin").write_bytes(b"x" * int(size * 1_000_000))
        site.let_pass(40)
        site.step(incident)
        assert site.now(incident).cursor == 4
    up_to(site, incident, 8)
    assert site.used() < first
    site.engine().deliver_due()
    return [one.message.text for one in site.notebook.sent]


@pytest.mark.parametrize("megabytes", [(2.0, 0.0), (0.45, 0.45)])
def test_it_is_the_step_before_that_it_fills_from_however_often_it_was_looked_at_since(cleaning, megabytes):
    (told,) = set(filling(cleaning, *megabytes))
    assert "the disk fills while it is cleaned" in told


def test_less_than_a_point_between_two_steps_wakes_nobody(cleaning):
    assert filling(cleaning, 0.2, 0.1) == []
