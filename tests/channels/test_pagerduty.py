"""PagerDuty over real HTTP: one alert for a matter, however often it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from byteport.adapters.pagerduty import PagerDutyEvents
from byteport.channels.pagerduty import LONGEST_DETAILS, PagerDuty
from byteport.errors import Denied, Permanent, Transient
from tests.channels.messages import delivery, resolution, taken
from tests.http_server import HANGS, LOST, Asked, Reply, loopback

KEY = "R" + "0123456789abcdef" * 2


@dataclass
class Service:
    """As the Events API is documented: an open alert for each dedup key; acknowledging or resolving an unknown key is
    accepted and does nothing."""

    http: Any = None
    alerts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Reply:
        told = asked.json
        assert (asked.method, asked.path) == ("POST", "/v2/enqueue")
        if told.get("routing_key") != KEY:
            return Reply(
                400,
                {"status": "invalid event", "message": "Event object is invalid", "errors": ["Invalid routing key"]},
            )
        if told["event_action"] == "trigger":
            payload = told.get("payload", {})
            if not {"summary", "source", "severity"} <= payload.keys() or len(payload["summary"]) > 1024:
                return Reply(
                    400, {"status": "invalid event", "message": "Event object is invalid", "errors": ["payload"]}
                )
            assert payload["severity"] in ("critical", "error", "warning", "info")
        key = told["dedup_key"]
        if told["event_action"] == "trigger" or key in self.alerts:
            self.alerts.setdefault(key, []).append(told)
        return Reply(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    def did(self, key: str) -> list[str]:
        return [event["event_action"] for event in self.alerts[key]]


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    with loopback(made.answer) as http:
        made.http = http
        yield made


@pytest.fixture
def channel(service: Service) -> PagerDuty:
    return PagerDuty(PagerDutyEvents(KEY, service.http.url, timedelta(seconds=1)))


def test_an_escalation_is_an_alert_with_what_helps_at_once(service, channel):
    assert channel.send(delivery()).reference == "byteport/i1"
    (event,) = service.alerts["byteport/i1"]
    payload = event["payload"]
    assert payload["summary"] == "db_connection_pool_exhaustion: db1/app escalated: the kill cap was hit"
    assert (payload["source"], payload["severity"]) == ("db1/app", "critical")
    assert (payload["group"], payload["class"]) == ("db_connection_pool_exhaustion", "idle_in_transaction_leak")
    assert payload["custom_details"]["terminated"] == 20
    assert payload["custom_details"]["manual_commands"] == ["select pg_terminate_backend(4711);"]
    assert event["links"][0]["href"] == "https://byteport.example.test/incidents/i1"


def test_taken_and_ended_as_it_is_here(service, channel):
    channel.send(delivery())
    channel.send(delivery("dlv-9", repeat_of="byteport/i1"))
    channel.send(taken(repeat_of="byteport/i1"))
    channel.send(resolution(repeat_of="byteport/i1"))
    assert service.did("byteport/i1") == ["trigger", "trigger", "acknowledge", "resolve"]
    assert len(service.alerts) == 1


def test_what_was_never_told_here_has_nothing_to_end(service, channel):
    channel.send(resolution())
    channel.send(taken())
    assert service.http.asked == []


def test_what_others_still_stand_on_is_not_resolved(service, channel):
    channel.send(delivery())
    channel.send(resolution(repeat_of="byteport/i1", closes=False))
    assert service.did("byteport/i1") == ["trigger"]


def test_a_lost_answer_and_a_retry_are_one_alert(service, channel):
    service.http.instead.append(LOST)
    with pytest.raises(Transient):
        channel.send(delivery())
    assert not channel.askable
    channel.send(delivery())
    assert list(service.alerts) == ["byteport/i1"]


def test_what_concerns_no_incident_goes_by_its_matter(service, channel):
    channel.send(delivery(incident="", message={"kind": "notice", "dedup_key": "poller|prometheus"}))
    assert list(service.alerts) == ["byteport/poller|prometheus"]


@pytest.mark.parametrize(
    ("ours", "theirs"), [("critical", "critical"), ("high", "error"), ("warning", "warning"), ("info", "info")]
)
def test_severities(service, channel, ours, theirs):
    channel.send(delivery(message={"severity": ours}))
    assert service.alerts["byteport/i1"][0]["payload"]["severity"] == theirs


def test_long_things_are_cut_to_what_pagerduty_takes(service, channel):
    channel.send(delivery(incident="i" * 400, message={"text": "x" * 5000, "bundle": {"timeline": ["y" * 100] * 9000}}))
    ((key, (event,)),) = service.alerts.items()
    assert len(key) == 255
    assert len(event["payload"]["summary"]) == 1024
    assert "timeline" not in event["payload"]["custom_details"]
    assert len(str(event["payload"]["custom_details"])) < LONGEST_DETAILS


@pytest.mark.parametrize(
    ("instead", "kind", "wait"),
    [
        (Reply(429, {"message": "Too many requests"}, {"Retry-After": "30"}), Transient, 30),
        (Reply(429, {"message": "Too many requests"}), Transient, None),
        (Reply(500, "oops"), Transient, None),
        (Reply(503, "away", {"Retry-After": "5"}), Transient, 5),
        (Reply(400, {"status": "invalid event", "message": "Event object is invalid"}), Permanent, None),
        (Reply(401, {}), Denied, None),
        (Reply(202, "<html>a portal</html>"), Transient, None),
        (HANGS, Transient, None),
    ],
)
def test_what_goes_wrong_says_what_it_means_once_and_without_the_key(service, channel, instead, kind, wait):
    service.http.instead.append(instead)
    with pytest.raises(kind) as wrong:
        channel.send(delivery())
    assert KEY not in str(wrong.value)
    named = wrong.value.retry_after
    assert (None if named is None else named.total_seconds()) == wait
    assert len(service.http.asked) == 1, "whoever repeats it is the outbox"
    assert service.alerts == {}


def test_a_server_that_is_gone_is_transient():
    with pytest.raises(Transient):
        PagerDuty(PagerDutyEvents(KEY, "http://127.0.0.1:1", timedelta(seconds=1))).send(delivery())
