"""`byteport run` on real databases: what it shows, what it does, what it leaves alone, and how it exits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import SLUG, Home
from tests.crowd import Crowd, is_alive
from tests.patients import Patient
from tests.servers import eventually

HASTY = {SLUG: {"options": {"idle_in_tx_threshold_sec": 1}}}
RUN = ("run", SLUG, "--db", "shop")


@pytest.fixture
def sick(calm: Patient, home: Home):
    """A database with four forgotten transactions, two seconds old, and a configuration that knows it."""
    with Crowd(calm.url) as crowd:
        sessions = crowd.idle_in_transaction(4)
        home.configure(
            databases={"shop": {"url": calm.role("watcher", member_of=("pg_monitor", "pg_signal_backend"))}},
            runbooks=HASTY,
        )
        old = "select count(*) as n from pg_stat_activity where state like 'idle in%' and state_change < now() - interval '2 s'"
        eventually(lambda: calm.run(old)[0]["n"] == 4, within=10)
        yield sessions


def test_a_dry_run_shows_what_it_would_do_and_touches_nobody(home: Home, sick) -> None:
    ended = home.run(*RUN)
    assert ended.code == 0, ended.err
    for told in ("dry run: nothing will be changed", "idle_in_tx_backlog", "rehearsed", "would end", "(exit 0)"):
        assert told in ended.out, ended.out
    assert all(is_alive(one) for one in sick)
    (line,) = home.run("incidents", "list", "--json").json
    assert (line["word"], line["mode"]) == ("rehearsed", "dry_run")
    assert home.run("guards", "list", "--json").json["guards"] == []


def test_with_json_it_prints_one_object_and_nothing_else(home: Home, sick) -> None:
    ended = home.run(*RUN, "--json")
    told = ended.json
    assert (ended.code, told["exit_code"], told["outcome"]) == (0, 0, "rehearsed")
    assert (told["classification"], told["confidence"], told["mode"]) == ("idle_in_tx_backlog", 0.91, "dry_run")


def test_every_rule_and_verdict_is_explained(home: Home, sick) -> None:
    incident = home.run(*RUN, "--json").json["incident"]
    told = home.run("incidents", "explain", incident, "--json").json
    assert told["diagnosis"]["considered"][0]["held"] is True
    assert [rule["name"] for rule in told["diagnosis"]["considered"]][-1] == "undersized_pool"
    assert all(verdict["rehearsed"] for verdict in told["verdicts"])
    assert {"pause", "kill_cap"} <= {verdict["guard"] for verdict in told["verdicts"]} | {"kill_cap"}
    read = told["diagnosis"]["considered"][0]["evidence"]["state_breakdown"]
    assert read["figures"]["idle_sessions"] == 4
    cap = next(verdict for verdict in told["verdicts"] if verdict["guard"] == "kill_cap")
    assert (cap["limit"], cap["current"]) == ("20", "0")
    plain = home.run("incidents", "explain", incident).out
    assert "would allow" in plain
    assert "ruled out" in plain
    assert "idle_sessions 4" in plain


def test_a_rehearsal_says_what_makes_it_act_and_which_switch_forbids_it(home: Home, sick) -> None:
    incident = home.run(*RUN, "--json").json["incident"]
    steps = "1 of 1 steps would have been allowed"
    assert f"acts with --no-dry-run, and by itself once it is promoted to live; {steps}" in explained(home, incident)
    forbidden = home.run("incidents", "explain", incident, BYTEPORT_RUNBOOK_DRY_RUN="true").out
    assert f"is promoted to live and BYTEPORT_RUNBOOK_DRY_RUN=true no longer forbids it; {steps}" in forbidden


def explained(home: Home, incident: str) -> str:
    return home.run("incidents", "explain", incident).out


def test_a_recorded_incident_is_decided_again_offline(home: Home, bare: Home, sick, tmp_path) -> None:
    incident = home.run(*RUN, "--json").json["incident"]
    recording = home.run("incidents", "export", incident).out
    path = tmp_path / "recorded.json"
    path.write_text(recording)
    same = bare.run("replay", str(path), "--json")
    assert (same.code, same.json["same"], same.json["differences"]) == (0, True, [])
    assert "same diagnosis and plan" in bare.run("replay", str(path)).out

    path.write_text(json.dumps(without_idle_sessions(json.loads(recording))))
    other = bare.run("replay", str(path), "--json")
    assert (other.code, other.json["same"]) == (1, False)
    assert any("idle_in_tx_backlog" in difference for difference in other.json["differences"])

    path.write_text(recording[:200])
    assert bare.run("replay", str(path)).code == 2
    path.write_text("{}")
    assert "incident: Field required" in bare.run("replay", str(path)).err


def without_idle_sessions(recording: dict[str, Any]) -> dict[str, Any]:
    for answer in recording["answers"]:
        if answer["field"] == "state_breakdown":
            answer["fact"]["idle_sessions"] = []
    return recording


@pytest.mark.parametrize(
    ("environ", "switch"),
    [
        ({"BYTEPORT_RUNBOOK_DRY_RUN": "true"}, "BYTEPORT_RUNBOOK_DRY_RUN=true"),
        ({"BYTEPORT_MODE": "dry_run"}, "mode: dry_run"),
        ({"BYTEPORT_PAUSE": "true"}, "BYTEPORT_PAUSE=true"),
    ],
)
def test_a_switch_that_forbids_acting_ends_it_with_2_and_is_named(home: Home, sick, environ, switch: str) -> None:
    ended = home.run(*RUN, "--no-dry-run", **environ)
    assert ended.code == 2
    assert switch in ended.err
    assert all(is_alive(one) for one in sick)
    assert home.run("incidents", "list", "--json").json == []


def test_a_pause_in_the_ledger_ends_it_with_2_and_names_who_and_why(home: Home, sick) -> None:
    home.run("pause", "--why", "network maintenance")
    ended = home.run(*RUN, "--no-dry-run")
    assert (ended.code, "network maintenance" in ended.err) == (2, True)
    assert all(is_alive(one) for one in sick)


def test_an_unreachable_database_escalates_and_says_why(home: Home, free_port: int) -> None:
    url = f"postgresql://watcher:hunter2-and-more@127.0.0.1:{free_port}/app"
    ended = home.run("run", SLUG, "--db", url, "--json")
    assert ended.code == 3
    assert (ended.json["outcome"], ended.json["classification"]) == ("escalated", "inconclusive")
    why = explained(home, ended.json["incident"])
    assert "would have acted had state_breakdown answered (unreachable: " in why
    assert "and idle_in_tx_backlog held" in why
    assert "hunter2-and-more" not in ended.out + ended.err + why


def test_what_joins_an_incident_that_rests_with_people_does_not_tell_its_story_again(
    home: Home, free_port: int
) -> None:
    url = f"postgresql://watcher@127.0.0.1:{free_port}/app"
    first = home.run("run", SLUG, "--db", url, "--no-dry-run")
    second = home.run("run", SLUG, "--db", url)
    assert "which was open already" in second.out
    assert first.out.count(" signal ") == second.out.count(" signal ") == 1
    assert " diagnosis " in first.out
    (line,) = home.run("incidents", "list", "--json").json
    assert home.run("incidents", "show", line["id"], "--json").json["driver"] == ""  # the fleet's from now on
    assert " diagnosis " not in second.out


def test_a_wrong_password_escalates_and_is_never_repeated(home: Home, calm: Patient) -> None:
    calm.role("watcher")
    ended = home.run("run", SLUG, "--db", calm.url_for("watcher", "hunter2-and-more"), "--json")
    assert (ended.code, ended.json["outcome"]) == (3, "escalated")
    assert "hunter2-and-more" not in ended.out + ended.err


def test_a_healthy_database_is_nothing_to_act_on(home: Home, calm: Patient) -> None:
    ended = home.run("run", SLUG, "--db", calm.role("watcher", member_of=("pg_monitor",)), "--no-dry-run", "--json")
    assert (ended.code, ended.json["outcome"], ended.json["classification"]) == (0, "recovered", "unknown")
    assert "nothing to do" in ended.json["reason"]
    assert ended.json["intents"] == []
    told = home.run("incidents", "explain", ended.json["incident"], "--json").json["nearest"]
    assert [change["kind"] for change in told] == ["nothing"]


@pytest.mark.real
def test_live_it_ends_the_forgotten_sessions_verifies_and_tells(home: Home, sick, calm: Patient) -> None:
    before = calm.client_backends()
    ended = home.run(*RUN, "--no-dry-run", "--json", within=150)
    told = ended.json
    assert (ended.code, told["outcome"]) == (0, "resolved"), ended.out + ended.err
    assert [intent["outcome"] for intent in told["intents"]] == ["done"]
    assert not any(is_alive(one) for one in sick)
    assert calm.client_backends() <= before - 4
    assert told["postmortem"]["classification"] == "idle_in_tx_backlog"
    events = home.run("incidents", "show", told["incident"], "--json").json
    assert events["person"]
    verdicts = home.run("incidents", "explain", told["incident"], "--json").json["verdicts"]
    cap = next(verdict for verdict in verdicts if verdict["guard"] == "kill_cap")
    assert (cap["allowed"], cap["limit"], cap["current"]) == (True, "20", "4")
    assert cap["frees_at"]


@pytest.mark.real
def test_without_any_store_it_brings_its_own_and_keeps_their_data(bare: Home, free_port: int) -> None:
    """Nobody can look at this one, so both rest with a person, and the second is shown live."""
    url = f"postgresql://watcher@127.0.0.1:{free_port}/app"
    first = bare.run("run", SLUG, "--db", url, "--json", within=150)
    second = bare.run("run", SLUG, "--db", url, "--json", "--no-dry-run", within=150)
    assert (first.code, second.code) == (3, 3), first.err + second.err
    kept = {line["id"]: line["word"] for line in bare.run("incidents", "list", "--json").json}
    assert kept == {first.json["incident"]: "closed", second.json["incident"]: "escalated"}, "it made way"


def test_what_a_run_kept_in_its_folder_is_read_without_any_store_running(bare: Home, calm: Patient) -> None:
    url = calm.role("watcher", member_of=("pg_monitor",))
    ended = bare.run("run", SLUG, "--db", url, "--json")
    assert ended.code == 0, ended.err
    (line,) = bare.run("incidents", "list", "--json").json
    assert line["id"] == ended.json["incident"]
    assert "unknown" in bare.run("incidents", "explain", line["id"]).out


def test_a_folder_that_keeps_nothing_is_said_so(bare: Home) -> None:
    ended = bare.run("incidents", "list")
    assert ended.code == 2
    assert "BYTEPORT_DATABASE_URL" in ended.err
