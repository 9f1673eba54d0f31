"""GitHub issues: one for a matter, a comment for a repeat, closed at its end; told once whatever is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from byteport.adapters import github as adapter
from byteport.adapters.github_issues import GitHubIssues
from byteport.channels.github_issues import GitHubIssuesChannel, marker
from byteport.errors import Denied, Transient
from tests.channels.messages import delivery, resolution, taken
from tests.github_server import REPOSITORY, TOKEN, GitHub, running
from tests.http_server import HANGS, LOST, Reply

FIRST = f"{REPOSITORY}#1"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with running() as (server, _store):
        yield server


@pytest.fixture
def channel(github: GitHub) -> GitHubIssuesChannel:
    issues = GitHubIssues(adapter.api(TOKEN, github.http.url, timedelta(seconds=3)), REPOSITORY)
    return GitHubIssuesChannel(issues, ("ops",))


def test_a_matter_is_an_issue_with_everything_that_was_learnt(github, channel):
    assert channel.send(delivery()).reference == FIRST
    (issue,) = github.issues
    assert issue["title"] == "db_connection_pool_exhaustion: db1/app escalated"
    assert [label["name"] for label in issue["labels"]] == ["byteport", "runbook:db_connection_pool_exhaustion", "ops"]
    for part in ("the kill cap was hit", "- terminated: 20", "select pg_terminate_backend(4711);", "/incidents/i1"):
        assert part in issue["body"]
    assert marker(delivery()) in issue["body"]


def test_a_repeat_is_a_comment_and_the_end_closes(github, channel):
    channel.send(delivery())
    assert channel.send(delivery("dlv-9", repeat_of=FIRST)).reference == FIRST
    channel.send(taken(repeat_of=FIRST))
    assert github.issue(1)["state"] == "open"
    channel.send(resolution(repeat_of=FIRST))
    assert github.issue(1)["state"] == "closed"
    assert ["ada has taken it" in c["body"] for c in github.comments[1]] == [False, True, False]
    assert len(github.issues) == 1


def test_what_others_still_stand_on_is_not_closed(github, channel):
    channel.send(delivery())
    channel.send(resolution(repeat_of=FIRST, closes=False))
    assert github.issue(1)["state"] == "open"
    assert len(github.comments[1]) == 1


def test_the_end_of_what_was_never_told_here_opens_nothing(github, channel):
    assert channel.send(resolution()).reference == ""
    assert channel.send(taken()).reference == ""
    assert github.http.asked == []


def test_a_lost_answer_is_found_again_and_nothing_is_doubled(github, channel):
    github.http.instead.append(LOST)
    with pytest.raises(Transient):
        channel.send(delivery())
    found = channel.find(delivery())
    assert found is not None
    assert found.reference == FIRST
    github.http.instead.append(LOST)
    with pytest.raises(Transient):
        channel.send(delivery("dlv-9", repeat_of=FIRST))
    assert channel.find(delivery("dlv-9", repeat_of=FIRST)) is not None
    assert (len(github.issues), len(github.comments[1])) == (1, 1)


def test_what_was_sent_half_a_day_before_the_last_try_is_found(github, channel):
    """An outbox that is put off again and again tries for longer than a look back from its last try."""
    github.http.instead.append(LOST)
    with pytest.raises(Transient):
        channel.send(delivery())
    late = delivery()
    found = channel.find(late.model_copy(update={"due_at": late.created_at + timedelta(hours=13)}))
    assert found is not None
    assert found.reference == FIRST


def test_what_did_not_arrive_is_not_found(github, channel):
    channel.send(delivery())
    assert channel.find(delivery("dlv-9")) is None
    assert channel.find(delivery("dlv-9", repeat_of=FIRST)) is None


def test_a_close_that_was_lost_is_made_up_for(github, channel):
    channel.send(delivery())
    github.http.instead += [None, Reply(502, "bad gateway")]
    with pytest.raises(Transient):
        channel.send(resolution(repeat_of=FIRST))
    assert github.issue(1)["state"] == "open"
    assert channel.find(resolution(repeat_of=FIRST)) is not None
    assert github.issue(1)["state"] == "closed"
    assert len(github.comments[1]) == 1


def test_nobody_is_mentioned_nothing_is_referred_to_and_no_marker_can_be_forged(github, channel):
    evil = "ping @acme-example/everyone and #7, see <!-- byteport-delivery: dlv-77 -->"
    channel.send(delivery(message={"text": evil, "title": f"x: {evil}"}))
    (issue,) = github.issues
    for text in (issue["body"], issue["title"]):
        assert "@acme" not in text
        assert "#7" not in text
    assert channel.find(delivery("dlv-77")) is None


def test_a_long_story_is_cut_to_what_github_takes(github, channel):
    channel.send(delivery(message={"bundle": {"timeline": ["x" * 99] * 3000}}))
    body = github.issues[0]["body"]
    assert len(body) < 65_536
    assert body.endswith(f"{marker(delivery())}\n")
    assert "the whole is in the console" in body


@pytest.mark.parametrize(
    ("instead", "kind"),
    [
        (Reply(401, {"message": "Bad credentials"}), Denied),
        (Reply(403, {"message": "Resource not accessible"}, {"X-Accepted-GitHub-Permissions": "issues=write"}), Denied),
        (Reply(503, "away"), Transient),
        (HANGS, Transient),
    ],
)
def test_what_goes_wrong_says_what_it_means_and_no_token(github, channel, instead, kind):
    github.http.instead.append(instead)
    with pytest.raises(kind) as wrong:
        channel.send(delivery())
    assert TOKEN not in str(wrong.value)
    assert github.issues == []
