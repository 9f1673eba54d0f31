"""A real rule fires in a real Prometheus: by Alertmanager's webhook and by asking, into the real ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from byteport.adapters.http_api import HttpApi
from byteport.adapters.prometheus import Alertmanager, Prometheus, refused
from byteport.errors import Permanent, Transient
from byteport.model.alert import Alert
from byteport.sources.incoming import Malformed
from byteport.sources.prometheus import PrometheusPoller, PromqlRule
from byteport.sources.silences import SilencesPoller
from tests.prometheus_stack import Stack, stack
from tests.remembering import Row
from tests.servers import eventually
from tests.web.conftest import SECRET, StandingWorld, serving
from tests.web.conftest import standing as standing

pytestmark = pytest.mark.real
WITHIN = 60


@pytest.fixture
def running(tmp_path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


def prometheus(running: Stack) -> Prometheus:
    return Prometheus(HttpApi("prometheus", running.prometheus, patience=timedelta(seconds=5), refused=refused))


def poller(running: Stack, *rules: PromqlRule, alerts: bool = True) -> Row:
    period, timeout = timedelta(seconds=30), timedelta(seconds=5)
    return Row(PrometheusPoller(prometheus(running), "prometheus main", period, timeout, alerts, rules))


def ask(asked: Row) -> list[Alert]:
    told = asked.ask(datetime.now(UTC))
    assert all(isinstance(one, Alert) for one in told), told
    return [one for one in told if isinstance(one, Alert)]


def test_a_rule_that_fires_opens_an_incident_and_its_end_is_dated(standing: StandingWorld, tmp_path) -> None:
    with serving(standing) as service, stack(tmp_path, f"{service.url}/webhooks/alertmanager", SECRET) as running:
        running.exporter.used = 97.0
        (line,) = eventually(standing.ledger.listing, within=WITHIN)
        incident = standing.ledger.incident(line.id)
        assert incident is not None
        assert str(incident.signal.target) == "database:db1/shop"
        assert (incident.signal.name, incident.signal.source) == ("db_connections_saturated", "alertmanager")
        assert incident.signal.severity == "critical"
        assert incident.signal.summary == "97 % of the connections of shop are in use"
        assert incident.clear_since is None
        running.exporter.used = 20.0
        assert eventually(lambda: standing.ledger.incident(line.id).clear_since, within=WITHIN)
        assert len(standing.ledger.listing()) == 1


def test_what_fires_is_told_and_what_no_longer_does_has_ended(running: Stack) -> None:
    asked = poller(running)
    assert ask(asked) == []
    running.exporter.used = 95.0
    (fired,) = eventually(lambda: ask(asked), within=WITHIN)
    assert (fired.name, fired.labels["datname"], str(fired.severity)) == (
        "PostgreSQLHighConnections",
        "shop",
        "critical",
    )
    assert fired.value == 95.0
    running.exporter.used = 20.0
    (ended,) = eventually(lambda: [one for one in ask(asked) if one.resolved], within=WITHIN)
    assert ended.condition == fired.condition
    assert ask(asked) == []


def test_a_rule_of_one_s_own_is_told_when_it_has_held_for_long_enough(running: Stack) -> None:
    rule = PromqlRule("PoolIsFull", "pg_used_percent > 90", sustained=60, labels={"team": "shop"}, summary="full")
    asked = poller(running, rule, alerts=False)
    running.exporter.used = 95.0
    eventually(lambda: prometheus(running).query("pg_used_percent > 90"), within=WITHIN)
    begin = datetime.now(UTC)  # it may have been full for some seconds by now, which Prometheus knows
    assert asked.ask(begin) == []
    assert asked.ask(begin + timedelta(seconds=30)) == []
    (fired,) = asked.ask(begin + timedelta(seconds=61))
    assert isinstance(fired, Alert)
    assert (fired.name, fired.labels["team"], fired.value, fired.resolved) == ("PoolIsFull", "shop", 95.0, False)


def test_a_query_that_is_wrong_stays_wrong(running: Stack) -> None:
    with pytest.raises(Permanent, match="bad_data"):
        prometheus(running).query("sum(")
    with pytest.raises(Permanent, match="a vector is expected"):
        prometheus(running).query("pg_used_percent[5m]")
    (one,) = prometheus(running).query("scalar(vector(3))")
    assert (one.value, one.labels) == (3.0, {})
    assert [sample.value for sample in prometheus(running).query("vector(0) / 0")] == [None]


def test_a_process_that_has_just_begun_need_not_wait_for_what_prometheus_remembers(running: Stack) -> None:
    rule = PromqlRule("PoolIsFull", "pg_used_percent > 90", sustained=6)
    running.exporter.used = 95.0

    def told_at_its_first_look() -> list[Alert]:
        return ask(poller(running, rule, alerts=False))

    (fired,) = eventually(told_at_its_first_look, within=WITHIN, every=0.5)
    assert (fired.name, fired.resolved) == ("PoolIsFull", False)
    assert ask(poller(running, PromqlRule("PoolIsFull", rule.expr, sustained=3600), alerts=False)) == []


def test_a_range_is_told_series_by_series(running: Stack) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    runs = prometheus(running).query_range("vector(time())", now - timedelta(seconds=60), now, timedelta(seconds=20))
    assert [[(at, value) for at, value in run.points] for run in runs] == [
        [(now - timedelta(seconds=ago), (now - timedelta(seconds=ago)).timestamp()) for ago in (60, 40, 20, 0)]
    ]
    assert prometheus(running).query_range("vector(0) / 0", now, now, timedelta(seconds=1))[0].points == ()
    with pytest.raises(Permanent, match="exceeded maximum resolution"):
        prometheus(running).query_range("vector(1)", now - timedelta(days=30), now, timedelta(seconds=1))


def test_a_wrong_rule_keeps_none_of_the_others_from_being_told(running: Stack) -> None:
    rules = PromqlRule("Mistyped", "sum("), PromqlRule("Always", "vector(1)", labels={"team": "shop"})
    told = poller(running, *rules).ask(datetime.now(UTC))
    assert [one.name for one in told if isinstance(one, Alert)] == ["Always"]
    (wrong,) = [one for one in told if isinstance(one, Malformed)]
    assert (wrong.field, "bad_data" in wrong.expected) == ("rule Mistyped", True)
    with pytest.raises(Permanent, match="bad_data"):
        poller(running, rules[0], alerts=False).ask(datetime.now(UTC))


def test_a_server_that_is_stopped_clears_nothing(running: Stack) -> None:
    asked = poller(running)
    running.exporter.used = 95.0
    eventually(lambda: ask(asked), within=WITHIN)
    running.stop("prometheus")
    with pytest.raises(Transient):
        ask(asked)
    (remembered,) = asked.memory["seen"].values()
    assert [seen["told"] for seen in remembered.values()] == [True]


def test_silences_are_read_as_they_stand(standing: StandingWorld, running: Stack) -> None:
    reader = Alertmanager(HttpApi("alertmanager", running.alertmanager, patience=timedelta(seconds=5)))
    asked = SilencesPoller(
        reader.silences, standing.ledger, "silences of main", timedelta(seconds=30), timedelta(seconds=5)
    )
    silence = running.silence(datname="shop", severity="critical")
    assert asked.ask(datetime.now(UTC)) == ()
    (row,) = standing.ledger.silences()
    assert (row.selects, row.why, row.who) == ("datname=shop severity=critical", "rack move", "bob")
    running.expire(silence)
    asked.ask(datetime.now(UTC))
    assert standing.ledger.silences() == []
    running.stop("alertmanager")
    with pytest.raises(Transient):
        asked.ask(datetime.now(UTC))


def test_what_it_tells_is_no_secret(running: Stack) -> None:
    with pytest.raises(Permanent) as wrong:
        prometheus(running).query('x{password="hunter2hunter2"')
    assert "hunter2hunter2" not in json.dumps(str(wrong.value))
