"""A short campaign, judged as the long ones are: `make chaos` runs those."""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import figures, known_for, report
from tests.chaos.campaign import Campaign
from tests.chaos.site import site
from tests.chaos.tally import Tally
from tests.servers import roomy_folder

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
KILLS, SEED = 16, 7


def test_a_short_campaign_loses_doubles_and_exceeds_nothing() -> None:
    said: list[str] = []
    with roomy_folder() as folder, site(folder / "campaign", SEED, known_for(KILLS)) as place:
        tally = Tally(SEED, KILLS)
        verdict = Campaign(place, tally, said.append).run()
        known = figures(tally, verdict)
    report(tally, verdict, as_json=True)
    counted = ("lost", "doubled", "exceeded", "messages_lost", "messages_doubled")
    assert {name: getattr(verdict, name) for name in counted} == {name: [] for name in counted}, said
    assert tally.killed >= KILLS
    assert known["signals"] > KILLS
    assert sum(verdict.ended.values()) >= known["signals"] // 2
    assert verdict.effects > 0
    assert verdict.messages > 0
