"""The page on application errors: its classes by real requests to a Sentry that behaves, and what is done about each."""

from __future__ import annotations

import pytest

from byteport.model.facts.application import Breaker, UpstreamLatency, Upstreams
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK as DB_POOL
from tests.pages.application import ROLLBACK, SCALE_UP, SLUG
from tests.sentry_server import raised

OOM = ("java.lang.OutOfMemoryError", "Java heap space")
TRACES = {
    "db_connection": (
        ("OperationalError", "FATAL:  sorry, too many clients already"),
        ("sqlalchemy.exc.TimeoutError", "QueuePool limit of size 5 overflow 10 reached, connection timed out"),
        ("SQLTransientConnectionException", "HikariPool-1 - Connection is not available, request timed out"),
        ("Error", "connect ECONNREFUSED 10.0.0.5:5432"),
        ("psycopg.OperationalError", 'connection to server at "db1", port 5432 failed: Connection refused'),
    ),
    "oom": (OOM, ("MemoryError", ""), ("Error", "JavaScript heap out of memory"), ("OSError", "[Errno 12] Cannot allocate memory")),
    "upstream_5xx": (
        ("HTTPError", "503 Server Error: Service Unavailable for url: https://pay.example/charge"),
        ("AxiosError", "Request failed with status code 502"),
        ("CallNotPermittedException", "CircuitBreaker 'payments' is OPEN and does not permit further calls"),
    ),
    "unknown": (("KeyError", "'total'"), ("ValueError", "order 500 has 503 lines"), ("TypeError", "None is not callable")),
}  # fmt: skip


def treated_by(desk, runbook: str) -> list:
    return [one for one in desk.ledger.listing() if one.runbook == runbook]


def started(desk) -> list[tuple[str, ...]]:
    return [argv for _, argv in desk.manager.started]


# ── what is done ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_errors_that_a_deploy_brought_are_rolled_back_and_watched_until_they_stay_away(desk):
    desk.correlated()
    incident = desk.treat()
    assert (incident.ending, incident.diagnosis.name, incident.diagnosis.confidence) == (
        "resolved", "deploy_correlation", 80,
    )  # fmt: skip
    assert started(desk) == [tuple(ROLLBACK)]
    assert desk.manager.environments == [{"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}]
    assert "was seen first 6 min after shop@2.0.0 went to production" in incident.diagnosis.because


def test_an_issue_that_came_back_with_the_deploy_is_rolled_back_too(desk):
    desk.correlated()
    desk.sentry.first_seen, desk.sentry.first_release = desk.sentry.minutes_ago(90_000), "shop@1.0.0"
    desk.sentry.regressed = (desk.sentry.minutes_ago(4), "shop@2.0.0")
    incident = desk.treat()
    assert incident.ending == "resolved"
    assert "came back" in incident.diagnosis.because
    assert started(desk) == [tuple(ROLLBACK)]


def test_memory_that_ran_out_is_met_with_more_replicas(desk):
    desk.sentry.exceptions = [raised(*OOM)]
    desk.manager.does = desk.calm
    incident = desk.treat()
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "oom")
    assert started(desk) == [tuple(SCALE_UP)]


def test_errors_that_go_on_after_it_are_for_people_and_nothing_is_run_again(desk):
    desk.correlated()
    desk.manager.does = lambda: None
    incident = desk.treat()
    assert incident.phase is Phase.ESCALATE
    assert "verification failed" in incident.reason
    assert len(started(desk)) == 1


@pytest.mark.parametrize("ends", [("failed", "exit-code", 1), ("failed", "timeout", 15)])
def test_a_command_that_fails_is_told_at_once_with_what_its_unit_says(desk, ends):
    desk.correlated()
    desk.manager.ends = ends
    incident = desk.treat()
    assert incident.phase is Phase.ESCALATE
    assert ends[1] in incident.reason
    assert f"exit status {ends[2]}" in incident.reason
    assert len(started(desk)) == 1


def test_a_command_that_runs_on_is_waited_for_and_then_unknown(desk):
    desk.correlated()
    desk.manager.ends = None
    incident = desk.treat()
    assert incident.phase is Phase.ESCALATE
    assert "effect never seen" in incident.reason
    assert len(started(desk)) == 1


def test_a_lost_answer_is_looked_up_at_the_host_and_nothing_is_run_twice(desk):
    desk.correlated()
    desk.manager.loses_answers = True
    incident = desk.take()
    desk.run(incident, until=Phase.ACT, deliver=False)
    ended = desk.run(incident, most=400)
    assert ended.ending in ("resolved", "")
    assert len(started(desk)) == 1


def test_a_dry_run_shows_the_words_that_would_be_run(desk):
    desk.correlated()
    incident = desk.treat(Mode.DRY_RUN)
    assert (incident.ending, started(desk)) == ("rehearsed", [])
    (told,) = desk.texts(incident.id, "rehearsal")
    assert told == "would run on ops1, to rollback prod/shop/api: /usr/local/bin/helm rollback api 41 -n shop"


# ── which class ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kind", "trace"), [(kind, trace) for kind, traces in TRACES.items() for trace in traces])
def test_each_class_by_its_trace(desk, kind, trace):
    desk.sentry.exceptions = [raised("RuntimeError", "wrapped"), raised(*trace)]
    desk.sentry.title = "RuntimeError: wrapped"
    incident = desk.treat(Mode.DRY_RUN)
    assert incident.diagnosis.name == kind
    assert started(desk) == []


def test_the_deploy_comes_before_every_trace(desk):
    desk.correlated()
    desk.sentry.exceptions = [raised(*OOM), raised(*TRACES["db_connection"][0])]
    assert desk.treat(Mode.DRY_RUN).diagnosis.name == "deploy_correlation"


@pytest.mark.parametrize(
    "change",
    [
        {"first_seen": 15},  # before the deploy
        {"event_release": "shop@1.9.9"},  # the newest event is of another release than runs
        {"event_release": ""},
        {"first_release": "shop@1.9.9"},
    ],
)
def test_what_the_deploy_did_not_bring_is_not_its_doing(desk, change):
    desk.correlated()
    for name, value in change.items():
        setattr(desk.sentry, name, desk.sentry.minutes_ago(value) if isinstance(value, int) else value)
    incident = desk.treat()
    assert (incident.diagnosis.name, incident.phase, started(desk)) == ("unknown", Phase.ESCALATE, [])


def test_a_deploy_to_staging_or_long_ago_is_none(desk):
    desk.sentry.deploy("shop@1.9.9", 3000)
    desk.sentry.deploy("shop@2.0.0", 45)
    desk.sentry.deploy("shop@2.1.0", 5, environment="staging")
    desk.sentry.first_seen = desk.sentry.minutes_ago(40)
    incident = desk.treat()
    assert (incident.diagnosis.name, started(desk)) == ("unknown", [])


def test_the_window_is_the_operator_s(desk):
    desk.sentry.deploy("shop@2.0.0", 45)
    desk.sentry.first_seen = desk.sentry.minutes_ago(40)
    desk.options(deployCorrelationMinutes=60)
    assert desk.treat(Mode.DRY_RUN).diagnosis.name == "deploy_correlation"


def test_an_old_release_that_was_deployed_again_is_the_running_one(desk):
    """Rolled back by hand a minute ago: what is told of 2.0.0 is past, and going back from it would go too far."""
    desk.correlated()
    desk.sentry.deploy("shop@1.9.9", 1)
    incident = desk.treat()
    assert (incident.diagnosis.name, started(desk)) == ("unknown", [])


@pytest.mark.parametrize("lost", ["issue", "event", "releases", "deploys"])
def test_what_sentry_does_not_tell_lets_nothing_be_done(desk, lost):
    desk.correlated()
    desk.sentry.refused[lost] = 500
    incident = desk.treat()
    assert (incident.phase, started(desk)) == (Phase.ESCALATE, [])
    assert incident.diagnosis.name == "inconclusive"


def test_rates_that_sentry_does_not_tell_let_nothing_be_done(desk):
    desk.correlated()
    desk.sentry.refused["rates"] = 500
    incident = desk.treat()
    assert (incident.phase, started(desk)) == (Phase.ESCALATE, [])


# ── what others do ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_connections_that_a_database_refuses_are_for_the_runbook_of_that_database(desk):
    desk.pages = (*desk.pages, DB_POOL)
    desk.sentry.exceptions = [raised(*TRACES["db_connection"][0])]
    incident = desk.take()
    ended = desk.run(incident, most=50)
    assert (ended.ending, started(desk)) == ("handed_over", [])
    (child,) = treated_by(desk, DB_POOL.name)
    opened = desk.ledger.incident(child.id)
    assert (str(opened.signal.target), opened.signal.name) == ("database:db1/shop", "db_connections_saturated")
    assert opened.parent == incident
    assert opened.mode is Mode.DRY_RUN  # nobody promoted that page


@pytest.mark.parametrize(
    ("page", "options", "why"),
    [
        (None, {}, "whoever takes db_connections_saturated should take over, but is not enabled here"),
        (DB_POOL, {"database": ""}, "which database it is has to be told"),
        (DB_POOL, {"project": "another"}, "the database is that of the project another"),
    ],
)
def test_where_nobody_takes_the_database_people_are_told(desk, page, options, why):
    desk.pages = (*desk.pages, page) if page else desk.pages
    desk.options(**options)
    desk.sentry.exceptions = [raised(*TRACES["db_connection"][0])]
    incident = desk.treat()
    assert incident.phase is Phase.ESCALATE
    assert why in incident.reason
    assert treated_by(desk, DB_POOL.name) == []


def test_an_upstream_that_fails_is_told_with_its_breaker_and_latency(desk):
    desk.sentry.exceptions = [raised(*TRACES["upstream_5xx"][0])]
    desk.metrics.known = Upstreams(
        open_breakers=(Breaker(upstream="payments", state="open"),),
        latencies=(UpstreamLatency(upstream="payments", seconds=4.2),),
    )
    incident = desk.treat()
    assert incident.phase is Phase.ESCALATE
    assert "payments is open" in incident.reason
    assert "payments 4.2 s" in incident.reason
    (message, *_) = [sent.message for sent in desk.notebook.sent if sent.message.kind == "escalation"]
    assert message.bundle["open_breakers"] == ["payments"]
    assert message.bundle["latencies"] == {"payments": 4.2}


def test_the_page_is_the_one_that_takes_what_sentry_tells(desk):
    assert desk.ledger.incident(desk.take()).runbook == SLUG
