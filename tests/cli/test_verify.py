"""`incidents verify`: a superuser's hand in the journal ends it with 1 and the line's number; an untouched one with 0."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from byteport.testing.time_travel import travel
from tests.cli.conftest import Home
from tests.cli.test_commands import a_signal, opened

Intruder = Callable[..., None]
CUT_WITH_ITS_HEAD = (
    "delete from byteport.events where seq > 1",
    """update byteport.journal_heads set event_count = 1,
       head_hash = (select hash from byteport.events e where e.incident = journal_heads.incident and seq = 1)""",
)


@pytest.fixture
def intruder(ledger_url: str, postgres_server) -> Intruder:
    """A superuser of the ledger's server, who puts the triggers to sleep."""

    def run(*statements: str) -> None:
        url = postgres_server.url_of(ledger_url.rsplit("/", 1)[1], user="postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("alter table byteport.events disable trigger user")
            for statement in statements:
                connection.execute(statement)
            connection.execute("alter table byteport.events enable trigger user")

    return run


@pytest.fixture
def told(home: Home) -> str:
    """An incident with three lines."""
    incident = opened(home)
    for why in ("on it", "still on it"):
        assert home.run("incidents", "ack", incident, "--why", why).code == 0
    return incident


def test_whole_journals_end_with_0(home: Home, told: str) -> None:
    one, every = home.run("incidents", "verify", told), home.run("incidents", "verify", "--all")
    assert (one.code, one.out) == (0, f"the journal of {told} is whole\n")
    assert (every.code, "1 journal, all whole" in every.out) == (0, True)
    data = home.run("incidents", "verify", "--all", "--json").json
    assert (data["journals"], data["breaks"], data["whole"]) == (1, [], True)


@pytest.mark.parametrize(
    ("forgery", "seq", "what"),
    [
        ("update byteport.events set text = 'nothing' where seq = 2", 2, "edited"),
        ("delete from byteport.events where seq = 2", 2, "missing"),
        ("delete from byteport.events where seq = 3", 3, "cut tail"),
    ],
)
def test_the_first_break_is_named_and_ends_it_with_1(
    home: Home, told: str, intruder: Intruder, forgery: str, seq: int, what: str
) -> None:
    intruder(forgery)
    plain, data = home.run("incidents", "verify", "--all"), home.run("incidents", "verify", told, "--json")
    assert (plain.code, data.code) == (1, 1)
    assert all(part in plain.out for part in (told, what, f"line {seq}", "1 journal, 1 broken"))
    (broken,) = data.json["breaks"]
    assert (broken["incident"], broken["seq"], broken["what"]) == (told, seq, what)


def test_another_incidents_break_is_not_this_ones(home: Home, told: str, intruder: Intruder) -> None:
    other = home.run("signal", "send", "-", "--json", stdin=a_signal(target={"kind": "database", "key": "db2/shop"}))
    assert other.json["incident"] != told
    intruder(f"update byteport.events set text = 'nothing' where incident <> '{told}'")
    assert home.run("incidents", "verify", told).code == 0


def test_a_tail_cut_with_its_head_shows_in_the_anchor_that_the_log_has(
    home: Home, told: str, intruder: Intruder, ledger_url: str
) -> None:
    travel(ledger_url, 600)
    logged = home.run("incidents", "verify", "--all", "--json").json["anchor"]
    intruder(*CUT_WITH_ITS_HEAD)
    after = home.run("incidents", "verify", "--all", "--as-of", logged["as_of"], "--json")
    assert (after.code, after.json["whole"]) == (0, True), "the chain alone does not show it"
    assert after.json["anchor"]["as_of"] == logged["as_of"]
    assert after.json["anchor"]["digest"] != logged["digest"]


def test_an_anchor_is_printed_and_found_again_by_its_time(home: Home, told: str, ledger_url: str) -> None:
    travel(ledger_url, 600)
    anchor = home.run("incidents", "verify", "--all", "--json").json["anchor"]
    assert home.run("incidents", "ack", told, "--why", "later").code == 0
    travel(ledger_url, 600)
    again = home.run("incidents", "verify", "--all", "--as-of", anchor["as_of"])
    assert anchor["digest"] in again.out
    assert anchor["digest"] not in home.run("incidents", "verify", "--all").out


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["nope"], "incident: the id of an incident, got 'nope'"),
        ([], "the id of an incident, or --all"),
        (["nope", "--all"], "the id of an incident, or --all"),
        (["nope", "--as-of", "2026-01-01T00:00:00Z"], "--as-of goes with --all"),
        (["--all", "--as-of", "yesterday"], "--as-of: a time as the log has it"),
        (["--all", "--as-of", "2999-01-01T00:00:00Z"], "at least 5 min ago"),
    ],
)
def test_wrong_usage_ends_with_2(home: Home, args: list[str], expected: str) -> None:
    ended = home.run("incidents", "verify", *args)
    assert (ended.code, expected in ended.err) == (2, True), ended.err
