"""Console and API tell why not, and what would change it, in the same words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.engine.pages import Pages
from tests.ward import pages
from tests.ward.patient import Ward
from tests.ward.world import World
from tests.web.conftest import Service, StandingWorld, serving

NOT_HELD = "would have acted if leak had held (0.90); it lacked only: The valve leaks"


@pytest.fixture
def ward(standing: StandingWorld, ledger_url: str, redis_url: str) -> Iterator[World]:
    """The ward on the ledger that the service shows."""
    with closing(RedisBudgets(redis_url)) as budgets:
        yield World(standing.ledger, budgets, Ward(ledger_url), ledger_url, redis_url)


@pytest.fixture
def watching(standing: StandingWorld, ward: World) -> Iterator[Service]:
    with serving(replace(standing, pages=Pages(pages.ALL), policy=ward.policy)) as running:
        yield running


def healthy(ward: World) -> str:
    incident = ward.open("ward_one")
    ward.ward.set("v1", "leaking", False)
    return ward.run(incident).id


def test_the_api_explains_with_every_rules_evidence_and_the_nearest_change(watching: Service, ward: World) -> None:
    incident = healthy(ward)
    with watching.program() as client:
        told = client.get(f"/api/v1/incidents/{incident}/explanation").json()
        assert client.get("/api/v1/incidents/unknown/explanation").status_code == 404
    assert [change["text"] for change in told["nearest"]] == [NOT_HELD]
    valve = told["diagnosis"]["considered"][0]["evidence"]["valve"]
    assert valve["figures"] == {"name": "v1", "value": 0, "leaking": False, "stuck": False, "broken": False}
    assert set(valve["text"].split(", ")) == {"name v1", "value 0", "leaking no", "stuck no", "broken no"}


def test_the_console_shows_the_same_and_what_each_rule_read(watching: Service, ward: World) -> None:
    incident = healthy(ward)
    with watching.person() as client:
        page = client.get(f"/incidents/{incident}").text
    assert NOT_HELD in page
    assert "value 0, " in page
    assert "leaking no" in page


def test_a_refusal_is_told_with_who_must_lift_it(watching: Service, ward: World) -> None:
    ward.ledger.pause("", "deploy freeze", "<ada>")
    incident = ward.run(ward.open("ward_one")).id
    with watching.person() as client:
        assert "may act when the pause by &lt;ada&gt; is resumed" in client.get(f"/incidents/{incident}").text


def test_guards_in_use_are_shown_with_their_time_left_and_resets(watching: Service, ward: World) -> None:
    incident = ward.run(ward.open("ward_limited")).id
    with watching.person() as client:
        page = client.get("/guards").text
        assert "turns:valve:v1" in page
        assert f"/incidents/{incident}" in page
        assert "runbook_cooldown:ward_limited:v1" in page
    ward.engine().reset_guard("turns:valve:v1", "ada", "replaced <b>")
    with watching.program() as client:
        told = client.get("/api/v1/guards").json()
    assert [reset["why"] for reset in told["resets"]] == ["replaced <b>"]
    assert told["now"]
    with watching.person() as client:
        assert "replaced &lt;b&gt;" in client.get("/guards").text
