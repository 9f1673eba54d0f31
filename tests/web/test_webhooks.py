"""Sources under /webhooks/ with forms of their own: who sent it is proven, what can be taken is stored, then answered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from byteport.adapters.ledger import PostgresLedger
from byteport.records.incident import Phase
from tests.proxy import TcpProxy
from tests.web.conftest import SECRET, Service, StandingWorld, serving

EXAMPLE = Path(__file__).parents[1] / "data" / "sources" / "alertmanager" / "two_firing_one_resolved.json"
PATH = "/webhooks/alertmanager"
BEARER = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture
def group() -> dict[str, Any]:
    return json.loads(EXAMPLE.read_text())["body"]


def send(service: Service, payload: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    with service.anybody() as client:
        return client.post(PATH, json=payload, headers=BEARER if headers is None else headers)


def test_every_alert_of_a_group_is_stored_before_it_is_answered(service, group):
    answer = send(service, group)
    assert answer.status_code == 202
    told = answer.json()
    assert told["taken"] == {"opened": 1, "unrouted": 1, "resolved": 1}
    (opened,) = told["incidents"]
    assert told["unrouted"] == [{"alert": "Watchdog", "why": "no route fits"}]
    incident = service.world.ledger.incident(opened)
    assert incident is not None
    assert incident.phase is Phase.OPEN
    assert str(incident.signal.target) == "database:db1/shop"
    assert incident.signal.target.within == ("server:db1",)
    assert incident.signal.source == "alertmanager"
    assert incident.signal.severity == "critical"
    assert incident.signal.summary == "95 % of the connections of shop are in use"


def test_a_group_that_is_sent_again_within_minutes_changes_nothing(service, group):
    first = send(service, group).json()
    again = send(service, group).json()
    assert again["taken"] == {"duplicate": 1, "unrouted": 1, "resolved": 1}
    assert again["incidents"] == first["incidents"]
    incident = service.world.ledger.incident(first["incidents"][0])
    assert incident is not None
    assert incident.signals_seen == 1


def test_basic_auth_serves_as_well(service, group):
    with service.anybody() as client:
        assert client.post(PATH, json=group, auth=("alertmanager", SECRET)).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-secret-of-some-length"},
        {"Authorization": f"Token {SECRET}"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic " + "QQ==" * 5000},
        {"X-Byteport-Signature": "t=1,v1=" + "0" * 64},
    ],
)
def test_who_does_not_know_the_secret_is_not_heard(service, group, headers):
    answer = send(service, group, headers)
    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert service.world.ledger.listing() == []


def test_a_source_without_a_secret_is_unknown(service, group):
    with service.anybody() as client:
        for source in ("grafana", "nonsense", "generic2", "secret"):
            assert client.post(f"/webhooks/{source}", json=group, headers=BEARER).status_code == 404


def test_what_cannot_be_read_is_named_and_the_rest_is_taken(service, group):
    group["alerts"].insert(0, {"status": "firing", "labels": {}})
    group["alerts"].append({**group["alerts"][1], "startsAt": "yesterday"})
    group["alerts"].append({**group["alerts"][1], "labels": {"alertname": "DatabaseFull", "note": "x" * 4000}})
    group["alerts"].append("an alert")
    answer = send(service, group)
    assert answer.status_code == 422
    told = answer.json()
    assert [line["field"] for line in told["problems"]] == [
        "alerts.0.labels.alertname", "alerts.4.startsAt", "alerts.5.labels.note", "alerts.6",
    ]  # fmt: skip
    assert told["taken"]["opened"] == 1
    assert len(service.world.ledger.listing()) == 1


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"version": "4"}, "alerts"),
        ({"version": "4", "alerts": {}}, "alerts"),
        ({"version": "9", "alerts": []}, "version"),
        ([], "body"),
    ],
)
def test_what_is_no_group_of_alerts_is_refused_by_its_field(service, payload, field):
    answer = send(service, payload)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(field)


def test_a_thousand_alerts_are_taken_and_one_more_is_not(service, group):
    alert = group["alerts"][0]
    many = [
        {**alert, "fingerprint": f"{n:016x}", "labels": {**alert["labels"], "datname": f"d{n % 7}"}}
        for n in range(1000)
    ]
    short = [
        {"status": "firing", "labels": a["labels"], "startsAt": a["startsAt"], "fingerprint": a["fingerprint"]}
        for a in many
    ]
    answer = send(service, {**group, "alerts": short})
    assert answer.status_code == 202, answer.text
    assert answer.json()["taken"] == {"opened": 7, "absorbed": 993}
    refused = send(service, {**group, "alerts": [*short, short[0]]})
    assert refused.status_code == 422
    assert "at most 1000" in refused.text


def test_more_than_a_mebibyte_is_refused(service, group):
    group["alerts"][0]["annotations"]["description"] = "x" * (1024 * 1024)
    assert send(service, group).status_code == 413


def test_an_alert_that_clears_is_dated_on_its_incident(service, group):
    (opened,) = send(service, group).json()["incidents"]
    over = {**group["alerts"][0], "status": "resolved", "endsAt": "2026-11-26T10:05:00Z"}
    told = send(service, {**group, "status": "resolved", "alerts": [over]}).json()
    assert told["taken"] == {"resolved": 1}
    incident = service.world.ledger.incident(opened)
    assert incident is not None
    assert incident.clear_since is not None


def test_a_ledger_that_is_away_is_never_answered_with_success(ledger_url, standing, group):
    """The sender repeats after 503, and what was stored by then is known again."""
    with TcpProxy(urlsplit(ledger_url).port or 0) as proxy:
        ledger = PostgresLedger(proxy.through(ledger_url))
        try:
            with serving(StandingWorld(standing.settings, ledger)) as running:
                assert send(running, group).status_code == 202
                proxy.cut()
                answer = send(running, group)
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
                proxy.restore()
                assert send(running, group).json()["taken"]["duplicate"] == 1
        finally:
            ledger.close()


def test_what_became_of_alerts_is_counted(service, group):
    send(service, group)
    send(service, group)
    with service.program() as client:
        text = client.get("/metrics").text
    counted = dict(re.findall(r'byteport_alerts_total\{became="(\w+)",source="alertmanager"\} (\d+)', text))
    assert counted == {"opened": "1", "unrouted": "2", "resolved": "2", "duplicate": "1"}


def test_nothing_secret_of_an_alert_is_stored(service, group):
    alert = group["alerts"][0]
    alert["annotations"]["summary"] = "cannot log in with postgresql://app:hunter2hunter2@db1/shop"
    alert["labels"]["api_token"] = "tok-1234567890abcdef"
    alert["generatorURL"] = "http://user:hunter2hunter2@prometheus.example/graph"
    (opened,) = send(service, group).json()["incidents"]
    incident = service.world.ledger.incident(opened)
    assert incident is not None
    told = incident.model_dump_json()
    assert "hunter2" not in told
    assert "tok-1234567890abcdef" not in told
    assert "1234567890abcdef" not in str([event.model_dump() for event in service.world.ledger.events(opened)])
