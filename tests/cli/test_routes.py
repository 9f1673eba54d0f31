"""`byteport routes`: what a payload would become, without a store, and why nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK

DATA = Path(__file__).parents[1] / "data" / "sources"
CONFIG = """
routes:
  - name: other team
    match: {alertname: DatabaseFull, team: other}
    signal: db_pool_exhausted
    target: {kind: database, key: other}
  - name: shop's database
    match: {alertname: DatabaseFull}
    signal: db_pool_exhausted
    target: {kind: database, key: "{instance|server}/{datname}"}
"""


@pytest.fixture
def group(tmp_path) -> Path:
    import json

    told = json.loads((DATA / "alertmanager" / "two_firing_one_resolved.json").read_text())
    path = tmp_path / "group.json"
    path.write_text(json.dumps(told["body"]))
    return path


@pytest.fixture
def configured(home, tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(CONFIG)
    return lambda *words: home.run("--config", str(path), *words)


def test_a_payload_is_explained_alert_by_alert(configured, group):
    told = configured("routes", "test", str(group)).out
    assert "DatabaseFull (firing, critical)" in told
    assert "route other team: team is '', not 'other'" in told
    assert "route shop's database fits" in told
    assert f"signal db_pool_exhausted on database:db1/shop: goes to {RUNBOOK.name}" in told
    assert f"signal db_pool_exhausted on database:db2/shop: its end is noted for {RUNBOOK.name}" in told
    assert "left alone: no route fits" in told


def test_the_same_for_programs(configured, group):
    first, watchdog, ended = configured("routes", "test", str(group), "--json").json
    assert (first["runbook"], first["signal"]["target"]["key"]) == (RUNBOOK.name, "db1/shop")
    assert [line["route"] for line in first["routes"]] == ["other team", "shop's database"]
    assert (watchdog["runbook"], watchdog["why_not"]) == (None, "no route fits")
    assert ended["signal"]["resolved"]


def test_routes_are_listed_in_their_order(configured):
    rows = configured("routes", "list", "--json").json
    assert [row["name"] for row in rows if row["of"] == "yours"] == ["other team", "shop's database"]
    assert [row["of"] for row in rows][:3] == ["yours", "yours", "built in"]
    assert RUNBOOK.name in configured("routes", "list").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--source", "nonsense"), "--source: one of alertmanager"),
        (("--source", "flux"), "Malformed"),
    ],
)
def test_what_cannot_be_told(configured, group, words, told):
    assert told in (answer := configured("routes", "test", str(group), *words)).out + answer.err


def test_an_event_of_no_interest_says_so(configured, tmp_path):
    path = tmp_path / "ping.json"
    path.write_text("{}")
    told = configured("routes", "test", str(path), "--source", "github", "--header", "X-GitHub-Event: ping").out
    assert "of no interest" in told


def test_a_file_that_is_no_payload(configured, tmp_path):
    path = tmp_path / "x.json"
    path.write_text("[")
    answer = configured("routes", "test", str(path))
    assert answer.code == 2
    assert "one JSON object" in answer.err


def test_a_route_to_nowhere_does_not_start(home, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(CONFIG.replace("db_pool_exhausted", "db_pool_exhaused"))
    answer = home.run("--config", str(path), "routes", "list")
    assert answer.code == 2
    assert "routes.0.signal" in answer.err
    assert "routes.1.signal" in answer.err


def test_silences_come_and_go(home):
    added = home.run(
        "silence",
        "add",
        "--match",
        "kind=database",
        "--match",
        "team=shop",
        "--for",
        "1h30m",
        "--why",
        "move",
        "--json",
    ).json
    assert (added["match"], added["seconds"]) == ({"kind": "database", "team": "shop"}, 5400)
    (row,) = home.run("silence", "list", "--json").json
    assert row["selects"] == "kind=database team=shop"
    assert "move" in home.run("silence", "list").out
    assert home.run("silence", "end", str(added["id"])).code == 0
    assert home.run("silence", "end", str(added["id"])).code == 2
    assert "nothing is silenced" in home.run("silence", "list").out


@pytest.mark.parametrize(
    "words",
    [
        ("--match", "kind", "--for", "1h"),
        ("--match", "kind=a", "--match", "kind=b", "--for", "1h"),
        ("--match", "kind=a", "--for", "soon"),
        ("--match", "kind=a", "--for", "0h"),
        ("--match", "kind=a", "--for", "999d"),
        ("--for", "1h"),
    ],
)
def test_a_silence_that_means_nothing_is_refused(home, words):
    answer = home.run("silence", "add", *words, "--why", "x")
    assert answer.code == 2
    assert home.run("silence", "list", "--json").json == []
