"""`byteport run` beside a living fleet: the fleet treats it, on the connections that it keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, SLUG, Ended, Home
from tests.crowd import Crowd
from tests.patients import Patient
from tests.servers import eventually
from tests.workers.workshop import Workshop, workshop

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
RUN = ("run", SLUG, "--db", "shop")


@pytest.fixture
def shop(tmp_path: Path, ledger_url: str, redis_url: str, patient: Callable[..., Patient]):
    """A fleet whose patient has twelve slots, and every one that a login without privileges may have is taken."""
    sick = patient(max_connections=20)
    folder = tmp_path / "fleet"
    folder.mkdir()
    with workshop(folder, ledger_url, redis_url, sick) as running, Crowd(sick.url) as crowd:
        running.start("probe", "act", "decide", "beat")
        crowd.fill(lambda: crowd.idle_in_transaction(1, application="shop-web"))
        age = """SELECT min(extract(epoch FROM now() - state_change))::float8 AS age FROM pg_stat_activity
                 WHERE state = 'idle in transaction'"""
        eventually(lambda: sick.run(age)[0]["age"] > 1.2, within=10)
        yield running


def beside(shop: Workshop, bare: Home) -> Callable[..., Ended]:
    return Home(shop.folder, {**shop.environment, "PYTHONPATH": str(ROOT)}).run


def test_a_full_database_is_treated_by_the_fleet_that_kept_its_connections(shop: Workshop, bare: Home) -> None:
    run = beside(shop, bare)
    ended = run(*RUN)
    assert ended.code == 0, ended.out + ended.err
    assert "idle_in_tx_backlog" in ended.out
    assert "rehearsed" in ended.out
    (line,) = run("incidents", "list", "--json").json
    incident = shop.incident(line["id"])
    assert incident.driver == ""
    assert "driven from here" not in ended.out


def test_a_fleet_that_is_gone_without_a_word_is_not_waited_for(shop: Workshop, bare: Home) -> None:
    """Its heartbeats still count, and nobody takes it up: this process does, where it finds a slot."""
    for role in ("decide", "probe", "act", "beat"):
        shop.kill(role)
    ended = beside(shop, bare)(*RUN)
    assert "no worker has taken it up: it is driven from here" in ended.out, ended.out + ended.err
    assert ended.code == 0, ended.out
    assert ended.out.count("from cli") == 1
