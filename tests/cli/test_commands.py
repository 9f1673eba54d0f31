"""Every command but `run`, as a process: what it prints, how it ends, and what it never prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cli.conftest import SLUG, Home

SECRET = "hunter2-and-more"
COMMANDS = [
    "up", "demo", "web", "migrate", "run", "signal", "incidents", "replay", "runbooks", "promote", "permissions",
    "guards", "pause", "resume", "doctor",
]  # fmt: skip


def a_signal(**changes: object) -> str:
    told = {
        "name": "db_pool_exhausted",
        "target": {"kind": "database", "key": "db1/shop", "within": ["db1"]},
        "severity": "critical",
        **changes,
    }
    return json.dumps(told)


def opened(home: Home) -> str:
    """The id of an incident that a signal has opened."""
    ended = home.run("signal", "send", "-", "--json", stdin=a_signal())
    assert ended.code == 0, ended.err
    incident: str = ended.json["incident"]
    return incident


def test_asking_for_help_imports_no_client_library() -> None:
    script = (
        "import sys; sys.argv = ['byteport', '--help']\n"
        "from byteport.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'celery', 'redis', 'psycopg', 'kubernetes', 'httpx', 'starlette', 'pydantic', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(f"\n  {name}" in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(bare: Home, command: str) -> None:
    ended = bare.run(command, "--help")
    assert ended.code == 0
    assert "Usage:" in ended.out


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["frobnicate"], "No such command"),
        (["incidents", "list", "--limit", "many"], "not a valid integer"),
        (["incidents", "list"], "database_url: postgresql://"),
        (["runbooks", "show", "nope"], "runbook: 'nope' is not one of"),
        (["permissions", SLUG, "--format", "rbac"], "is not one of 'sql', 'sudoers'"),
        (["replay", "/nowhere.json"], "No such file"),
        (["pause"], "--why"),
        (["promote", SLUG], "--override and --why"),
        (["run", SLUG], "--db"),
        (["run", SLUG, "--db", "shop"], "--db: a configured database (none is configured)"),
        (["run", SLUG, "--db", f"mysql://u:{SECRET}@h/x"], "--db: postgresql://"),
        (["run", SLUG, "--db", f"postgresql://u:{SECRET}@/x"], "no host"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_clear_line(bare: Home, args: list[str], expected: str) -> None:
    ended = bare.run(*args)
    assert ended.code == 2, ended.err
    assert expected in ended.err
    assert SECRET not in ended.err + ended.out


def test_a_wrong_configuration_is_told_whole_and_without_its_secrets(bare: Home) -> None:
    bare.configure(web={"prot": 1, "port": 70_000}, databases={"shop": {"url": f"mysql://u:{SECRET}@h/shop"}})
    ended = bare.run("incidents", "list", BYTEPORT_MODE="alive")
    assert ended.code == 2
    for key in ("web.prot", "web.port", "databases.shop.url", "mode"):
        assert f"byteport: {key}: " in ended.err
    assert SECRET not in ended.err


def test_an_unreachable_ledger_ends_with_1_and_says_so(bare: Home, free_port: int) -> None:
    url = f"postgresql://byteport:{SECRET}@127.0.0.1:{free_port}/byteport"
    ended = bare.run("incidents", "list", BYTEPORT_DATABASE_URL=url, BYTEPORT_BROKER_URL="redis://127.0.0.1:1")
    assert ended.code == 1
    assert "the ledger did not answer" in ended.err
    assert SECRET not in ended.err


def test_an_unmigrated_ledger_names_the_command_that_helps(bare: Home, ledger_url: str, redis_url: str) -> None:
    urls = {"BYTEPORT_DATABASE_URL": ledger_url, "BYTEPORT_BROKER_URL": redis_url}
    before = bare.run("incidents", "list", **urls)
    assert (before.code, "byteport migrate" in before.err) == (1, True)
    assert "applied 0001" in bare.run("migrate", **urls).out
    assert bare.run("migrate", **urls).out == "nothing to do\n"
    assert bare.run("incidents", "list", **urls).out == "no incident yet\n"


def test_a_signal_is_taken_absorbed_and_recognised_when_it_comes_again(home: Home) -> None:
    first = home.run("signal", "send", "-", "--json", stdin=a_signal(event_id="e-1")).json
    assert (first["absorbed"], first["duplicate"]) == (False, False)
    assert home.run("signal", "send", "-", "--json", stdin=a_signal(event_id="e-1")).json["duplicate"]
    (home.folder / "signal.json").write_text(a_signal())
    assert f"absorbed by incident {first['incident']}" in home.run("signal", "send", "signal.json").out
    assert "the condition has cleared" in home.run("signal", "send", "-", stdin=a_signal(resolved=True)).out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "signal: one JSON object"),
        ("[]", "signal: one JSON object"),
        ("{", "signal: one JSON object"),
        ("{}", "name: "),
        (a_signal(name="nobody_claims_this"), "claimed by no enabled runbook"),
        (a_signal(severity="very"), "severity: "),
        (a_signal(target={"kind": "galaxy", "key": "m31"}), "target.kind: "),
        (a_signal(colour="blue"), "colour: not a field of a signal"),
        ("x" * (1024 * 1024 + 1), "at most 1048576 bytes"),
    ],
)
def test_a_malformed_signal_ends_with_2_naming_the_field(home: Home, text: str, expected: str) -> None:
    ended = home.run("signal", "send", "-", stdin=text)
    assert ended.code == 2
    assert expected in ended.err
    assert home.run("incidents", "list", "--json").json == []


def test_incidents_are_listed_shown_and_explained(home: Home) -> None:
    incident = opened(home)
    (line,) = home.run("incidents", "list", "--open", "--json").json
    assert (line["id"], line["word"]) == (incident, "received")
    assert "db1/shop" in home.run("incidents", "list").out
    assert home.run("incidents", "show", incident, "--json").json["phase"] == "open"
    assert "db1/shop" in home.run("incidents", "show", incident).out
    assert home.run("incidents", "explain", incident, "--json").json["diagnosis"] is None
    assert "received" in home.run("incidents", "explain", incident).out


@pytest.mark.parametrize("word", ["show", "explain", "export", "ack", "close", "cancel"])
def test_an_unknown_incident_ends_with_2(home: Home, word: str) -> None:
    ended = home.run("incidents", word, "unknown")
    assert ended.code == 2
    assert "incident" in ended.err


def test_an_incident_that_was_not_diagnosed_yet_cannot_be_exported(home: Home) -> None:
    ended = home.run("incidents", "export", opened(home))
    assert (ended.code, "diagnosed" in ended.err) == (2, True)


def test_a_persons_word_stands_in_the_journal(home: Home) -> None:
    incident = opened(home)
    assert home.run("incidents", "ack", incident, "--why", "on it").code == 0
    events = home.run("incidents", "show", incident, "--json").json["events"]
    assert any("on it" in event["text"] + json.dumps(event["data"]) for event in events)


def test_runbooks_are_listed_and_shown_without_any_server(bare: Home) -> None:
    assert [row["slug"] for row in bare.run("runbooks", "list", "--json").json] == [
        "application_error",
        "cpu_saturation",
        SLUG,
        "deploy_failure",
        "disk_pressure",
        "disk_pressure_auto_cleanup",
        "disk_space_auto_reclaim",
        "memory_pressure",
        "memory_pressure_auto_recover",
        "memory_pressure_oom",
    ]
    told = bare.run("runbooks", "show", SLUG.replace("_", "-"), "--json").json
    assert (told["slug"], told["mode"]) == (SLUG, "dry_run")
    wanted = {"slug", "title", "category", "maturity", "signals", "target", "probes", "classes", "confidence_floor"}
    wanted |= {"guards", "verify", "escalation", "permissions", "config", "proven_on", "mode"}
    assert wanted <= set(told)
    plain = bare.run("runbooks", "show", SLUG).out
    assert "idle_in_tx_backlog" in plain
    assert f"leaves a target alone for {told['cooldown_seconds']:g} s after acting" in plain
    assert told["critical"] in plain
    assert bare.run("runbooks", "check").code == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kills_per_minute_cap": 21}, "at most 20: a limit may only be tightened"),
        ({"kills_per_minute_cap": "many"}, "a number"),
        ({"kills_per_minute_cap": True}, "a number"),
        ({"idle_in_tx_threshold_sec": -5}, "at least 1"),
        ({"idle_in_tx_threshold_sec": 0}, "at least 1"),
        ({"query_budget_sec": 1.5}, "a whole number"),
        ({"query_budget_sec": 0}, "at least 1"),
        ({"verify_threshold_pct": 99}, "at most 70"),
        ({"kills_per_minute_cup": 5}, "did you mean 'kills_per_minute_cap'?"),
    ],
)
def test_options_that_do_not_fit_the_page_are_told(bare: Home, options: dict[str, object], expected: str) -> None:
    bare.configure(runbooks={SLUG: {"options": options}})
    ended = bare.run("runbooks", "check")
    assert ended.code == 2
    assert expected in ended.err


def test_a_promotion_is_held_back_by_an_explicit_switch_and_says_so(home: Home) -> None:
    promote = ("promote", SLUG, "--override", "--why", "tried in staging", "--json")
    assert home.run(*promote).json["holds"] == "live"
    assert home.run("runbooks", "show", SLUG, "--json").json["mode"] == "live"
    assert home.run(*promote, BYTEPORT_MODE="dry_run").json["holds"] == "dry_run"
    assert home.run("promote", SLUG, "--mode", "dry_run", "--json").json["mode"] == "dry_run"


def test_pausing_needs_a_reason_is_listed_and_can_be_ended(home: Home) -> None:
    assert home.run("pause", "--why", "maintenance", "--json").json["why"] == "maintenance"
    assert [p["why"] for p in home.run("guards", "list", "--json").json["pauses"]] == ["maintenance"]
    assert "maintenance" in home.run("guards", "list").out
    assert home.run("resume", "--json").json == {"ended": 1}
    assert home.run("resume").out == "nothing was paused\n"
    assert home.run("pause", "--runbook", "nope", "--why", "x").code == 2


def test_permissions_are_grants_that_a_server_takes(bare: Home, postgres_server, ledger_url: str) -> None:
    import psycopg

    ended = bare.run("permissions", SLUG, "--probe-role", 'p"1', "--act-role", "a1")
    assert ended.code == 0
    with psycopg.connect(postgres_server.superuser_url) as connection:
        connection.execute(ended.out.encode())
        member = "select pg_has_role(%s, %s, 'member') as so"
        asked = [('p"1', "pg_monitor"), ("a1", "pg_monitor"), ("a1", "pg_signal_backend"), ('p"1', "pg_signal_backend")]
        assert [connection.execute(member, pair).fetchone()[0] for pair in asked] == [True, True, True, False]
        connection.rollback()


def test_the_stores_of_a_running_fleet_are_found_by_its_state_file(home: Home, bare: Home) -> None:
    data = bare.folder / "data"
    data.mkdir()
    state = data / "up.json"
    told = {"pid": os.getpid(), "database_url": home.environ["BYTEPORT_DATABASE_URL"]}
    state.write_text(json.dumps({**told, "broker_url": home.environ["BYTEPORT_BROKER_URL"]}))
    state.chmod(0o644)
    assert bare.run("incidents", "list").code == 2, "a file that others may read is not ours"
    state.chmod(0o600)
    assert bare.run("incidents", "list").out == "no incident yet\n"
    state.write_text(json.dumps({**told, "pid": 2**22 - 1}))
    assert bare.run("incidents", "list").code == 2, "a fleet that has ended leaves nothing to ask"


def test_the_doctor_finds_nothing_wrong_with_what_is_in_order(home: Home, calm) -> None:
    home.configure(databases={"shop": {"url": calm.role("watcher", member_of=("pg_monitor",))}})
    ended = home.run("doctor", "--json")
    words = {finding["check"]: finding["word"] for finding in ended.json["findings"]}
    assert ended.code == 0, ended.out
    for check in ("ledger", "clock skew", "budgets", "broker", "database shop, looking login", "configuration"):
        assert words[check] == "ok", ended.out


def test_the_doctor_names_what_is_wrong(home: Home, calm) -> None:
    home.configure(databases={"shop": {"url": calm.role("nobody", member_of=())}})
    ended = home.run("doctor", "--json")
    told = {finding["check"]: finding for finding in ended.json["findings"]}
    assert ended.code == 1
    assert told["database shop, looking login"]["word"] == "failed"
    assert "pg_monitor" in told["database shop, looking login"]["detail"]
    home.configure(runbooks={"nope": {}})
    assert "runbooks.nope" in home.run("doctor").out
    misspelt = home.run("doctor", BYTEPORT_DATABSE_URL="x")
    assert (misspelt.code, "did you mean 'BYTEPORT_DATABASE_URL'?" in misspelt.err) == (2, True)


def test_what_the_configuration_says_wrongly_of_a_runbook_is_told_by_its_list_too(home: Home) -> None:
    home.configure(runbooks={SLUG: {"options": {"kills_per_minute_cap": 500}}})
    listed = home.run("runbooks", "list")
    assert listed.code == 2
    assert f"runbooks.{SLUG}.options.kills_per_minute_cap" in listed.err


def test_all_that_is_wrong_with_a_configuration_is_told_at_once(home: Home) -> None:
    home.configure(
        retention=3, policy={"storm_threshold": 0}, runbooks={"nope": {}, SLUG: {"options": {"query_budget_sec": "x"}}}
    )
    ended = home.run("incidents", "list")
    assert ended.code == 2
    for key in ("retention", "policy.storm_threshold", "runbooks.nope", f"runbooks.{SLUG}.options.query_budget_sec"):
        assert f"{key}: " in ended.err
