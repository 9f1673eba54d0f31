"""Workers whose clocks are minutes apart: the same acts, the same caps, the same cooldowns.

Dates are the ledger's and windows are Redis's; a worker's own clock is for its log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.crowd import Crowd
from tests.patients import Patient
from tests.servers import eventually
from tests.workers.workshop import RUNBOOK, Workshop, workshop

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
AHEAD, BEHIND = "+8m", "-2m"
WATCHED = 10.0
APART = [
    pytest.param({"probe": AHEAD, "act": AHEAD, "decide": BEHIND, "beat": BEHIND}, id="hands-ahead"),
    pytest.param({"probe": BEHIND, "act": BEHIND, "decide": AHEAD, "beat": AHEAD}, id="hands-behind"),
]


@dataclass
class Scene:
    shop: Workshop
    patient: Patient

    def alive(self, crowd: Crowd) -> int:
        pids = [one.info.backend_pid for one in crowd.people]
        (row,) = self.patient.run("SELECT count(*)::int AS n FROM pg_stat_activity WHERE pid = ANY(%s)", pids)
        return int(row["n"])

    def forgotten(self, crowd: Crowd, count: int) -> None:
        """So many sessions, idle in transaction for longer than the page's threshold by the patient's clock."""
        crowd.idle_in_transaction(count, application="shop-web")
        age = """SELECT min(extract(epoch FROM now() - state_change))::float8 AS age FROM pg_stat_activity
                 WHERE state = 'idle in transaction'"""
        eventually(lambda: self.patient.run(age)[0]["age"] > 1.2, within=10)

    def watch(self, crowd: Crowd, alive: int) -> None:
        """For ten seconds, again and again: so many stay."""
        until = monotonic() + WATCHED
        while monotonic() < until:
            assert self.alive(crowd) == alive
            self.patient.run("SELECT pg_sleep(0.2)")


@pytest.fixture
def apart(
    request: pytest.FixtureRequest, patient: Callable[..., Patient], tmp_path: Path, ledger_url: str, redis_url: str
) -> Iterator[Scene]:
    """A fleet that acts live, four sessions a minute, each role on a machine with another clock."""
    sick = patient(max_connections=20)
    options = {"idle_in_tx_threshold_sec": 1, "kills_per_minute_cap": 4}
    with workshop(
        tmp_path, ledger_url, redis_url, sick, policy={"first_day_rate": 1000}, runbooks={RUNBOOK: {"options": options}}
    ) as shop:
        for role, clock in request.param.items():
            shop.start(role, clock=clock)
        shop.go_live()
        yield Scene(shop, sick)


def first_stamp(log: str) -> datetime:
    """The first date that a worker wrote in its log."""
    found = re.search(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", log)
    assert found is not None, log[:2000]
    return datetime.fromisoformat(found[0]).replace(tzinfo=UTC)


@pytest.mark.parametrize("apart", APART, indirect=True)
def test_the_cap_and_the_cooldown_hold_and_the_act_happens(apart: Scene, ledger_url: str) -> None:
    shop = apart.shop
    probe, decide = (first_stamp(shop.log(role)) for role in ("probe", "decide"))
    assert abs(probe - decide) > timedelta(minutes=8), "the clocks are apart"
    with Crowd(apart.patient.url) as crowd:
        apart.forgotten(crowd, 4)
        acted = shop.until(shop.signal(), Phase.VERIFY, within=30)
        travel(ledger_url, 65)  # the real wait before the first look of the verification
        first = shop.until(acted.id, Phase.CLOSED, within=60)
        assert first.ending == "resolved", shop.story(first.id)
        assert apart.alive(crowd) == 0
    with Crowd(apart.patient.url) as crowd:
        apart.forgotten(crowd, 8)
        again = shop.signal()
        apart.watch(crowd, alive=8)  # in cooldown, whatever the clocks of the workers say
        assert shop.until(again, Phase.CLOSED, Phase.ESCALATE).acted_at is None


@pytest.mark.parametrize("apart", APART, indirect=True)
def test_not_one_session_more_than_the_cap_is_ended_within_its_minute(apart: Scene) -> None:
    with Crowd(apart.patient.url) as crowd:
        apart.forgotten(crowd, 12)
        incident = apart.shop.signal()
        apart.shop.until(incident, Phase.ACT, within=30)
        apart.shop.until_event(incident, "outcome", within=30)
        apart.watch(crowd, alive=8)
