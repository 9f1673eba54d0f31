"""GitHub's client, every request of it held to GitHub's published description."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from byteport.adapters import github as adapter
from byteport.adapters.github import GitHubDispatcher, GitHubReader, path_of
from byteport.errors import Denied, NotFound, Permanent, Transient
from tests.github_server import REPOSITORY, TOKEN, GitHub, running
from tests.http_server import HANGS, Loopback, Reply

ROLLBACK = """
name: Rollback
on:
  workflow_dispatch:
    inputs:
      triggered_by: {required: true}
      failed_run_id: {required: true}
jobs: {}
"""


@pytest.fixture
def both() -> Iterator[tuple[GitHub, Loopback]]:
    with running() as servers:
        yield servers


@pytest.fixture
def github(both) -> GitHub:
    return both[0]


@pytest.fixture
def api(github):
    return adapter.api(TOKEN, github.http.url, timedelta(seconds=2))


@pytest.fixture
def reader(api) -> GitHubReader:
    return GitHubReader(api)


def test_runs_are_told_in_our_words(github, reader):
    github.add_run(conclusion="success", head_sha="b" * 40)
    failed = github.add_run(run_attempt=2, actor={**github.runs[0]["actor"], "login": "dev-one"})
    found = reader.run(REPOSITORY, failed["id"], 2)
    assert (found.id, found.attempt, found.conclusion, found.actor) == (failed["id"], 2, "failure", "dev-one")
    assert (found.path, found.branch, found.name) == (".github/workflows/deploy.yml", "main", "Deploy")
    assert found.url.endswith(f"/actions/runs/{failed['id']}")
    (good,) = reader.runs(REPOSITORY, workflow="77", status="success")
    assert good.head_sha == "b" * 40


def test_runs_are_asked_for_by_what_is_wanted_and_no_more_than_that(github, reader):
    for n in range(130):
        github.add_run(conclusion="failure", run_number=n)
    github.add_run(event="workflow_dispatch", head_branch="other")
    assert len(reader.runs(REPOSITORY, status="failure", most=120)) == 120
    assert len(github.http.asked) == 2
    assert [run.branch for run in reader.runs(REPOSITORY, event="workflow_dispatch")] == ["other"]
    later = datetime(2026, 11, 27, tzinfo=UTC)
    assert reader.runs(REPOSITORY, created_since=later) == []


def test_jobs_with_their_steps(github, reader):
    run = github.add_run()
    github.add_job(run, name="test", conclusion="success")
    github.add_job(
        run, name="deploy", steps=[("Checkout", "success"), ("helm upgrade", "failure"), ("Notify", "skipped")]
    )
    first, second = reader.jobs(REPOSITORY, run["id"], 1)
    assert (first.failed, second.failed) == (False, True)
    assert [(step.name, step.conclusion) for step in second.steps][1] == ("helm upgrade", "failure")


def test_a_log_is_fetched_from_another_origin_without_the_token(both, github, reader):
    job = github.add_job(github.add_run(), "line one\nError: UPGRADE FAILED\n")
    told = reader.log(REPOSITORY, reader.jobs(REPOSITORY, job["run_id"], 1)[0])
    assert told.text.endswith("UPGRADE FAILED\n")
    assert not told.cut
    (asked,) = both[1].asked
    assert "authorization" not in asked.headers
    assert TOKEN not in str(asked)


def test_of_a_long_log_the_end_is_kept(github, reader):
    job = github.add_job(
        github.add_run(), b"start\n" + b"x" * 99 + b"\n" + b"a line of a log\n" * 100_000 + b"the end\n"
    )
    told = reader.log(REPOSITORY, reader.jobs(REPOSITORY, job["run_id"], 1)[0])
    assert told.cut
    assert len(told.text) <= 1024 * 1024
    assert told.text.startswith("a line of a log\n")
    assert told.text.endswith("the end\n")


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "ftp://x/y", "/relative"])
def test_a_log_that_is_somewhere_else_is_not_fetched(github, reader, location):
    job = github.add_job(github.add_run(), "x")
    jobs = reader.jobs(REPOSITORY, job["run_id"], 1)
    github.http.instead.append(Reply(302, None, {"Location": location} if location else {}))
    with pytest.raises(Permanent, match="nowhere that can be asked"):
        reader.log(REPOSITORY, jobs[0])


def test_what_a_workflow_takes_is_read_off_its_file(github, reader):
    github.files[".github/workflows/rollback.yml"] = ROLLBACK
    github.files[".github/workflows/push.yml"] = "on: [push]\njobs: {}\n"
    github.files[".github/workflows/bare.yml"] = "on:\n  workflow_dispatch:\njobs: {}\n"
    assert reader.dispatch_inputs(REPOSITORY, ".github/workflows/rollback.yml", "main") == [
        "triggered_by",
        "failed_run_id",
    ]
    assert reader.dispatch_inputs(REPOSITORY, ".github/workflows/push.yml", "main") is None
    assert reader.dispatch_inputs(REPOSITORY, ".github/workflows/bare.yml", "main") == []
    with pytest.raises(NotFound):
        reader.dispatch_inputs(REPOSITORY, ".github/workflows/gone.yml", "main")


def test_the_repository_and_the_token_s_rights(github, reader):
    assert reader.repository(REPOSITORY).default_branch == "main"
    assert not reader.token().classic
    github.scopes = "repo, workflow"
    assert (reader.token().classic, reader.token().scopes) == (True, ("repo", "workflow"))


@pytest.mark.parametrize("tells", [True, False])
def test_a_dispatch_starts_one_run(github, api, tells):
    github.files[".github/workflows/rollback.yml"] = ROLLBACK
    github.tells_run_ids = tells
    inputs = {"triggered_by": "x", "failed_run_id": "1"}
    told = GitHubDispatcher(api).dispatch(REPOSITORY, "rollback.yml", "main", inputs, {"target_sha": "a" * 40})
    (dispatched,) = github.dispatched
    assert told == (dispatched["run"] if tells else None)
    assert (dispatched["ref"], dispatched["inputs"]) == ("main", inputs)


def test_an_optional_input_goes_along_where_it_is_declared(github, api):
    declares = ROLLBACK.replace("jobs: {}", "").rstrip() + "\n      target_sha: {}\njobs: {}\n"
    github.files[".github/workflows/rollback.yml"] = declares
    GitHubDispatcher(api).dispatch(REPOSITORY, "rollback.yml", "main", {"triggered_by": "x"}, {"target_sha": "a" * 40})
    assert github.dispatched[0]["inputs"] == {"triggered_by": "x", "target_sha": "a" * 40}


def test_a_dispatch_that_the_workflow_does_not_take_is_refused_and_starts_nothing(github, api):
    github.files[".github/workflows/rollback.yml"] = ROLLBACK
    with pytest.raises(Permanent, match="Unexpected inputs"):
        GitHubDispatcher(api).dispatch(REPOSITORY, "rollback.yml", "main", {"nonsense": "1"}, {})
    github.files[".github/workflows/push.yml"] = "on: [push]\njobs: {}\n"
    with pytest.raises(Permanent, match="has no workflow_dispatch"):
        GitHubDispatcher(api).dispatch(REPOSITORY, "push.yml", "main", {}, {})
    assert github.dispatched == []


def test_a_token_that_could_change_workflows_dispatches_nothing(github, api):
    github.files[".github/workflows/rollback.yml"] = ROLLBACK
    github.scopes = "repo, workflow"
    with pytest.raises(Denied, match="scope `workflow`"):
        GitHubDispatcher(api).dispatch(REPOSITORY, "rollback.yml", "main", {}, {})
    assert github.dispatched == []


@pytest.mark.parametrize(
    ("reply", "kind", "wait", "told"),
    [
        (Reply(401, {"message": "Bad credentials"}), Denied, None, "token is not accepted"),
        (Reply(403, {"message": "Resource not accessible"}, {"X-Accepted-GitHub-Permissions": "actions=write"}), Denied, None, "actions=write"),
        (Reply(403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"}), Transient, 3600, "rate limit"),
        (Reply(403, {"message": "You have exceeded a secondary rate limit"}), Transient, 60, "secondary"),
        (Reply(429, {"message": "slow down"}, {"Retry-After": "17"}), Transient, 17, "rate limit"),
        (Reply(404, {"message": "Not Found"}), NotFound, None, "Not Found"),
        (Reply(422, {"message": "Validation Failed"}), Permanent, None, "Validation Failed"),
        (Reply(502, "<html>bad gateway</html>", {"Content-Type": "text/html"}), Transient, None, "HTTP 502"),
        (Reply(200, "<html>a portal</html>", {"Content-Type": "text/html"}), Transient, None, "no JSON"),
    ],
)  # fmt: skip
def test_refusals_say_what_they_mean(github, reader, reply, kind, wait, told):
    github.http.instead.append(reply)
    with pytest.raises(kind, match=told) as refused:
        reader.repository(REPOSITORY)
    named = refused.value.retry_after
    assert (None if named is None else round(named.total_seconds())) == wait
    assert TOKEN not in str(refused.value)


def test_a_server_that_hangs_or_is_gone_is_transient(github, reader):
    github.http.instead.append(HANGS)
    with pytest.raises(Transient):
        reader.repository(REPOSITORY)
    with pytest.raises(Transient):
        GitHubReader(adapter.api(TOKEN, "http://127.0.0.1:1")).repository(REPOSITORY)


@pytest.mark.parametrize(
    "name", ["", "shop", "a/b/c", "../x", "acme/..", "acme/shop?x=1", "acme/shop#", "acme/sh op", "acme/%2e%2e"]
)
def test_a_name_cannot_change_where_a_request_goes(reader, github, name):
    with pytest.raises(Permanent):
        reader.repository(name)
    assert github.http.asked == []


def test_parts_of_a_path_are_quoted():
    assert (
        path_of(REPOSITORY, "actions", "workflows", "a/../b?c")
        == f"/repos/{REPOSITORY}/actions/workflows/a%2F..%2Fb%3Fc"
    )
    with pytest.raises(Permanent):
        path_of(REPOSITORY, "actions", "..")


def test_who_reads_has_no_way_to_write():
    assert not {"dispatch", "create", "comment", "close"} & set(dir(GitHubReader))
