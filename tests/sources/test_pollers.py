"""What pollers decide, by themselves: when something is told, when it has ended, and what is none of theirs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from celery.schedules import schedule
from hypothesis import given
from hypothesis import strategies as st

from beat_schedules import schedule as all_entries
from beat_schedules.jitter import SPREAD, jittered
from byteport.adapters import github as adapter
from byteport.adapters.github import GitHubReader
from byteport.errors import Denied, Permanent, Transient
from byteport.model.alert import Alert
from byteport.model.base import canonical
from byteport.settings import Settings
from byteport.settings.pollers import PollersSection
from byteport.sources.conditions import Seen, bounded, compared
from byteport.sources.github_runs import GitHubRunsPoller
from byteport.wiring_github import github_of
from byteport.wiring_pollers import pollers_of
from tests.github_server import NOW, REPOSITORY, TOKEN, running
from tests.http_server import Reply

AT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)


def alert(name: str = "x", **more) -> Alert:
    return Alert(source="prometheus", name=name, fired_at=AT, condition=name, **more)


def looks(*firing: set[str], every: float = 30.0, wait: float = 0.0) -> list[list[tuple[str, bool]]]:
    """What each of these looks tells, one after the other, as (name, ended)."""
    memory: dict[str, Seen] = {}
    told = []
    for number, names in enumerate(firing):
        now = AT + timedelta(seconds=every * number)
        memory, heard = compared(memory, {n: alert(n) for n in names}, dict.fromkeys(names, wait), now)
        told.append(sorted((one.name, one.resolved) for one in heard))
    return told


def test_what_fires_is_told_at_each_look_and_its_end_once():
    assert looks({"a"}, {"a"}, set(), set()) == [[("a", False)], [("a", False)], [("a", True)], []]


def test_what_must_last_is_told_when_it_has_lasted():
    assert looks({"a"}, {"a"}, {"a"}, {"a"}, wait=60) == [[], [], [("a", False)], [("a", False)]]


def test_what_flaps_under_its_time_is_never_told_nor_taken_back():
    assert looks({"a"}, set(), {"a"}, set(), wait=60) == [[], [], [], []]


def test_one_that_ends_says_nothing_of_another():
    assert looks({"a", "b"}, {"b"}) == [[("a", False), ("b", False)], [("a", True), ("b", False)]]


@given(st.lists(st.sets(st.sampled_from("abc")), max_size=12), st.sampled_from([0.0, 45.0]))
def test_nothing_ends_that_was_not_told(firing, wait):
    open_: set[str] = set()
    for told in looks(*firing, wait=wait):
        for name, ended in told:
            assert not ended or name in open_
        open_ = {name for name, ended in told if not ended} | {name for name in open_ if (name, True) not in told}


def test_an_end_has_an_identity_of_its_own():
    memory, _ = compared({}, {"a": alert("a")}, {}, AT)
    _, (ended,) = compared(memory, {}, {}, AT + timedelta(minutes=1))
    assert isinstance(ended, Alert)
    assert (ended.resolved, ended.condition, ended.fired_at) == (True, "a", AT + timedelta(minutes=1))
    assert ended.event_id


def test_what_was_not_read_has_not_ended_and_is_forgotten_after_a_week():
    memory, _ = compared({}, {"a": alert("a"), "b": alert("b")}, {}, AT)
    memory, told = compared(memory, {}, {}, AT + timedelta(hours=1), well={"b"})
    assert [(one.name, one.resolved) for one in told] == [("b", True)]
    memory, told = compared(memory, {}, {}, AT + timedelta(days=6), well=())
    assert (list(memory), told) == (["a"], [])
    assert compared(memory, {}, {}, AT + timedelta(days=8), well=()) == ({}, [])
    _, (ended,) = compared(memory, {}, {}, AT + timedelta(days=8), well={"a"})
    assert ended.resolved


def test_of_more_than_can_be_remembered_what_has_held_for_longest_is_kept():
    waits = dict.fromkeys("abc", 60.0)
    memory, _ = compared({}, {"b": alert("b")}, waits, AT)
    memory, _ = compared(memory, {name: alert(name) for name in "abc"}, waits, AT + timedelta(seconds=30))
    one = len(canonical(memory["b"].model_dump(mode="json")))
    assert list(bounded({"rule": memory}, 2 * one)["rule"]) == ["b"]
    assert sorted(bounded({"rule": memory}, 3 * one)["rule"]) == ["a", "b"], "the same ones at every look"
    assert bounded({"rule": memory}) == {"rule": memory}
    assert bounded({"rule": memory, "other": {}}, 0) == {"rule": {}, "other": {}}


# -- GitHub, asked ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def github():
    with running() as (server, _store):
        yield server


@pytest.fixture
def poller(github) -> GitHubRunsPoller:
    reader = GitHubReader(adapter.api(TOKEN, github.http.url, timedelta(seconds=2)))
    return GitHubRunsPoller(reader, REPOSITORY, timedelta(seconds=60), timedelta(seconds=2))


def test_failed_deploys_are_told_with_the_labels_of_the_webhook_s_alert(github, poller):
    run = github.add_run(run_attempt=2)
    for told in (
        {"conclusion": "success"},
        {"conclusion": "cancelled"},
        {"name": "Unit tests", "path": ".github/workflows/t.yml"},
    ):
        github.add_run(**told)
    (one,) = poller.ask(NOW)
    assert isinstance(one, Alert)
    assert (one.source, one.name, one.labels["run_id"], one.labels["run_attempt"]) == (
        "github-poller",
        "workflow_run",
        str(run["id"]),
        "2",
    )
    assert (one.labels["on_default_branch"], one.labels["workflow_path"]) == ("true", ".github/workflows/deploy.yml")
    assert [again.event_id for again in poller.ask(NOW + timedelta(minutes=7))] == [one.event_id]


def test_what_failed_long_ago_is_not_told(github, poller):
    github.add_run()
    assert list(poller.ask(NOW + timedelta(hours=7))) == []


def test_a_file_s_name_counts_as_well_as_the_workflow_s(github, poller):
    github.add_run(name="Ship it", path=".github/workflows/release.yml")
    assert len(poller.ask(NOW)) == 1
    strict = GitHubRunsPoller(poller.github, REPOSITORY, poller.period, poller.timeout, re.compile("Ship"))
    assert list(strict.ask(NOW)) == []


def test_a_rate_limit_says_when_it_ends(github, poller):
    github.http.instead.append(Reply(429, {"message": "slow down"}, {"Retry-After": "42"}))
    with pytest.raises(Transient) as limited:
        poller.ask(NOW)
    assert limited.value.retry_after == timedelta(seconds=42)


# -- who is asked, and when ------------------------------------------------------------------------------------------------------


CONFIGURED = {
    "github": {"token": "t"},
    "pollers": {
        "prometheus": {"main": {"url": "http://p:9090", "period": 20, "username": "u", "password": "p"}},
        "alertmanager": {"main": {"url": "http://a:9093", "token": "t"}},
        "github": {"repositories": [REPOSITORY]},
    },
}


class _NoLedger:
    """Nothing is asked of it while pollers are only made."""


def test_the_clock_and_the_workers_know_the_same_pollers_by_the_same_names():
    told = Settings.model_validate(CONFIGURED)
    made = pollers_of(told, _NoLedger())  # type: ignore[arg-type]
    assert {p.name: p.period.total_seconds() for p in made} == dict(told.pollers.periods())
    assert [p.name for p in made] == ["prometheus main", "silences of main", f"github {REPOSITORY}"]
    entries = all_entries(told.pollers)
    assert {entry["args"][0] for entry in entries.values() if entry["task"] == "byteport.poll"} == {
        "database", *(p.name for p in made),
    }  # fmt: skip


def test_a_poller_that_cannot_be_made_costs_no_other_and_says_why(tmp_path):
    (tmp_path / "token").write_text("t")
    configured = {
        "prometheus": {"main": {"url": "http://p:9090", "token_file": str(tmp_path / "token")}},
        "tls": {"endpoints": [{"host": "shop.example"}]},
        "github": {"repositories": [REPOSITORY]},
    }
    told = Settings.model_validate({"pollers": configured})
    (tmp_path / "token").unlink()
    made = {poller.name: poller for poller in pollers_of(told, _NoLedger())}  # type: ignore[arg-type]
    assert made["tls"].timeout == timedelta(seconds=10)
    with pytest.raises(Permanent, match="prometheus main: a readable file"):
        made["prometheus main"].ask(NOW)
    with pytest.raises(Permanent, match="it has no login"):
        made[f"github {REPOSITORY}"].ask(NOW)
    assert {name: poller.period.total_seconds() for name, poller in made.items()} == dict(told.pollers.periods())


def test_nothing_is_asked_that_nobody_configured():
    assert list(PollersSection().periods()) == []
    assert pollers_of(Settings(), _NoLedger()) == ()  # type: ignore[arg-type]


def test_a_period_varies_by_a_tenth_at_most_and_is_drawn_anew():
    # An application of its own: a schedule asks it for the time zone, and the fleet's would ask for settings.
    ticks = jittered(100.0, app=Celery("alone", set_as_current=False))
    assert isinstance(ticks, schedule)
    lengths = [ticks.is_due(datetime.now(UTC) - timedelta(seconds=1000))[1] for _ in range(50)]
    assert all(100 * (1 - SPREAD) <= length <= 100 * (1 + SPREAD) for length in lengths)
    assert len(set(lengths)) > 40
    due, wait = ticks.is_due(datetime.now(UTC))
    assert not due
    assert 0 < wait <= 110


def test_each_identity_of_github_has_what_it_needs_and_no_more():
    told = Settings.model_validate({"github": {"token": "t", "dispatch_token": "d"}})
    reading, writing = github_of(told, looks=True, acts=False)
    assert isinstance(reading, GitHubReader)
    with pytest.raises(Denied, match="this process may not act"):
        writing.dispatch(REPOSITORY, "rollback.yml", "main", {}, {})
    nobody, _ = github_of(Settings(), looks=True, acts=True)
    with pytest.raises(Denied, match=r"github\.token is not configured"):
        nobody.token()
