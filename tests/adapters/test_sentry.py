"""Sentry's client for one issue: what runs, how fast errors come, and what is not Sentry's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from byteport.adapters.sentry import Sentry
from byteport.errors import Denied, NotFound, Permanent, Transient
from tests.http_server import Reply
from tests.sentry_server import ORG, PROJECT, TOKEN, running
from tests.sentry_server import Sentry as Server

MINUTES = timedelta(minutes=5)


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture
def sentry(server) -> Sentry:
    return Sentry.at(ORG, TOKEN, server.http.url, timedelta(seconds=2))


@pytest.mark.parametrize(("usual", "now", "events"), [(0.0, 0.0, 0), (1.0, 60.0, 300), (4.0, 4.0, 20)])
def test_the_rate_of_a_window_against_that_of_a_day(server, sentry, usual, now, events):
    server.usual, server.now_rate = usual, now
    told = sentry.event_rate(server.issue_id, MINUTES)
    assert (told.events, told.seconds, told.per_minute) == (events, 300, events / 5)
    assert told.baseline == pytest.approx(max(1.0, (usual * 1425 + now * 15) / 1440), rel=0.01)


def test_what_was_deployed_last_is_what_runs_however_old_the_release(server, sentry):
    server.deploy("shop@1.0.0", 300)
    server.deploy("shop@2.0.0", 200)
    server.deploy("shop@1.0.0", 100)
    server.deploy("shop@3.0.0", 5, environment="staging")
    told = sentry.releases(PROJECT, "production")
    assert (told.running.release, told.previous.release) == ("shop@1.0.0", "shop@2.0.0")
    assert told.running.commit == "a" * 40


def test_a_release_that_went_on_to_staging_still_runs_in_production(server, sentry):
    server.deploy("shop@1.0.0", 300)
    server.deploy("shop@2.0.0", 200)
    server.deploy("shop@2.0.0", 10, environment="staging")
    assert sentry.releases(PROJECT, "production").running.release == "shop@2.0.0"


def test_no_deploy_is_an_answer(server, sentry):
    assert sentry.releases(PROJECT, "production").running is None
    server.deploy("shop@3.0.0", 5, environment="staging")
    assert sentry.releases(PROJECT, "production").running is None


def test_only_as_many_releases_are_read_as_can_change_the_answer(server, sentry):
    for number in range(30):
        server.deploy(f"shop@1.0.{number}", 1000 - number)
    told = sentry.releases(PROJECT, "production")
    assert (told.running.release, told.previous.release) == ("shop@1.0.29", "shop@1.0.28")
    assert len(server.http.asked) == 3


def test_where_it_cannot_be_told_what_runs_nothing_is_guessed(server, sentry):
    server.deploy("shop@1.0.0", 2000)
    for number in range(30):
        server.deploy(f"shop@2.0.{number}", 1000 - number, environment="preview")
    with pytest.raises(Permanent, match="is not among the last 10"):
        sentry.releases(PROJECT, "production")


def test_an_issue_tells_when_it_came_back(server, sentry):
    server.first_seen = server.minutes_ago(90_000)
    assert sentry.issue(server.issue_id).began_at == server.first_seen
    server.regressed = (server.minutes_ago(3), "shop@2.0.0")
    told = sentry.issue(server.issue_id)
    assert (told.began_at, told.began_release) == (server.minutes_ago(3), "shop@2.0.0")


def test_the_exception_that_was_caught_last_is_told_first(server, sentry):
    from tests.sentry_server import raised

    server.exceptions = [raised("KeyError", "cause"), raised("RuntimeError", "effect")]
    assert [one.type for one in sentry.latest_event(server.issue_id).exceptions] == ["RuntimeError", "KeyError"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Reply(200, []), Transient), (Reply(200, {"id": "1", "count": "many"}), Permanent), (Reply(200, "<html>"), Transient),
        (Reply(429, {"detail": "slow"}, {"X-Sentry-Rate-Limit-Reset": "1"}), Transient), (Reply(500, "no"), Transient),
        (Reply(403, {"detail": "no permission"}), Denied), (Reply(404, {"detail": "gone"}), NotFound),
    ],
)  # fmt: skip
def test_what_is_not_an_issue_is_none(server, sentry, answer, error):
    server.http.instead.append(answer)
    with pytest.raises(error):
        sentry.issue(server.issue_id)


@pytest.mark.parametrize("issue", ["1/../../projects", "x", ""])
def test_an_id_is_a_number_and_nothing_else(server, sentry, issue):
    with pytest.raises(ValueError, match="invalid literal"):
        sentry.latest_event(issue)
    assert server.http.asked == []
