"""The API over real HTTP on a real ledger: what it takes, what it refuses, and what it never tells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.web.conftest import SLUG, TOKEN, Service, StandingWorld, serving

GATED = [
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/silences"),
    ("GET", "/api/v1/storms"),
    ("GET", "/api/v1/pollers"),
    ("POST", "/api/v1/signals"),
    ("GET", "/api/v1/incidents"),
    ("GET", "/api/v1/incidents/x"),
    ("GET", "/api/v1/incidents/x/events"),
    ("GET", "/api/v1/runbooks"),
    ("GET", f"/api/v1/runbooks/{SLUG}"),
    ("GET", "/api/v1/guards"),
    ("POST", "/api/v1/pause"),
    ("POST", "/api/v1/resume"),
]


def test_only_health_answers_whoever_asks(service: Service) -> None:
    with service.anybody() as client:
        assert client.get("/healthz").status_code == 200
        for method, path in GATED:
            answer = client.request(method, path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_wrong_token_is_refused_and_after_ten_of_them_nobody_is_asked(service: Service) -> None:
    with service.anybody() as client:
        told = [client.get("/readyz", headers={"Authorization": f"Bearer wrong-{n}"}) for n in range(11)]
        assert [answer.status_code for answer in told] == [401] * 10 + [429]
        assert int(told[-1].headers["retry-after"]) > 0
        assert all(TOKEN not in answer.text for answer in told)


def test_a_signal_is_answered_once_it_is_stored(service: Service, signal) -> None:
    with service.program() as client:
        answer = client.post("/api/v1/signals", json=signal)
        assert answer.status_code == 202
        told = answer.json()
        assert (told["absorbed"], told["duplicate"]) == (False, False)
        stored = service.world.ledger.incident(told["incident"])
        assert stored is not None
        assert (stored.runbook, stored.signal.target.key) == (SLUG, "db1/shop")

        again = client.post("/api/v1/signals", json=signal).json()
        assert (again["incident"], again["absorbed"]) == (told["incident"], True)


def test_the_same_event_twice_is_one_signal(service: Service, signal) -> None:
    with service.program() as client:
        first = client.post("/api/v1/signals", json={**signal, "event_id": "e-1"}).json()
        second = client.post("/api/v1/signals", json={**signal, "event_id": "e-1"}).json()
    assert second["duplicate"]
    assert second["incident"] == first["incident"]
    stored = service.world.ledger.incident(first["incident"])
    assert stored is not None
    assert stored.signals_seen == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "No Name!"}, "name"),
        ({"name": "nobody_claims_this"}, "name"),
        ({"severity": "very"}, "severity"),
        ({"fired_at": "yesterday"}, "fired_at"),
        ({"fired_at": "2026-11-23T10:00:00"}, "fired_at"),
        ({"target": {"kind": "galaxy", "key": "m31"}}, "target.kind"),
        ({"target": {"kind": "database", "key": ""}}, "target.key"),
        ({"target": None}, "target"),
        ({"labels": {f"l{n}": "x" for n in range(65)}}, "labels"),
        ({"summary": "x" * 2049}, "summary"),
        ({"colour": "blue"}, "colour"),
        ({"value": "much"}, "value"),
    ],
)
def test_a_malformed_signal_is_refused_naming_the_field(service: Service, signal, change, field) -> None:
    with service.program() as client:
        answer = client.post("/api/v1/signals", json={**signal, **change})
    assert answer.status_code == 422
    assert answer.json()["field"].startswith(field)
    assert answer.json()["expected"]
    assert service.world.ledger.listing() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"\xff\xfe", 422),
        (b'{"value": NaN}', 422),
        (b"[" * 100_000, 422),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, 422),
        (b'{"raw": "' + b"x" * (1024 * 1024) + b'"}', 413),
    ],
)
def test_a_body_that_is_no_signal_is_refused(service: Service, body: bytes, status: int) -> None:
    with service.program() as client:
        answer = client.post("/api/v1/signals", content=body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert service.world.ledger.listing() == []


def test_a_body_without_a_stated_length_is_bounded_too(service: Service) -> None:
    with service.program() as client:
        answer = client.post("/api/v1/signals", content=(b"x" * 65536 for _ in range(20)))
    assert answer.status_code == 413


def test_secrets_of_a_signal_are_neither_stored_nor_shown(service: Service, signal) -> None:
    url = "postgresql://app:hunter2secret@db1/shop"
    hot = {
        **signal,
        "summary": f"cannot connect to {url}",
        "raw": {"password": "hunter2secret"},
        "labels": {"dsn": url},
    }
    with service.program() as client:
        incident = client.post("/api/v1/signals", json=hot).json()["incident"]
        shown = client.get(f"/api/v1/incidents/{incident}").text + client.get("/api/v1/incidents").text
        shown += client.get(f"/api/v1/incidents/{incident}/events").text
    assert incident in shown
    assert "hunter2secret" not in shown


def test_incidents_are_listed_shown_and_told(service: Service, signal) -> None:
    with service.program() as client:
        incident = client.post("/api/v1/signals", json=signal).json()["incident"]
        (line,) = client.get("/api/v1/incidents", params={"open": 1}).json()["incidents"]
        assert (line["id"], line["word"], line["target"]) == (incident, "received", "database:db1/shop")
        whole = client.get(f"/api/v1/incidents/{incident}").json()
        assert (whole["phase"], whole["word"], whole["signal"]["value"]) == ("open", "received", 0.95)
        events = client.get(f"/api/v1/incidents/{incident}/events").json()["events"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert client.get(f"/api/v1/incidents/{incident}/events?after={len(events)}").json()["events"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/incidents/unknown", 404),
        ("/api/v1/incidents/unknown/events", 404),
        ("/api/v1/runbooks/unknown", 404),
        ("/api/v1/incidents?limit=many", 422),
        ("/api/v1/incidents?limit=501", 422),
        ("/nowhere", 404),
    ],
)
def test_what_does_not_exist_is_said_in_json(service: Service, path: str, status: int) -> None:
    with service.program() as client:
        answer = client.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_runbook_is_listed_by_its_page_whichever_way_its_name_is_written(service: Service) -> None:
    with service.program() as client:
        (line,) = client.get("/api/v1/runbooks").json()["runbooks"]
        assert (line["slug"], line["mode"]) == (SLUG, "dry_run")
        told = client.get(f"/api/v1/runbooks/{SLUG.replace('_', '-')}").json()
    assert told["slug"] == SLUG
    assert [c["name"] for c in told["classes"]][-1] == "unknown"


def test_pausing_and_resuming_is_a_row_with_a_name_and_a_reason(service: Service) -> None:
    with service.program() as client:
        assert client.post("/api/v1/pause", json={"why": "maintenance", "who": "Ada"}).status_code == 201
        (pause,) = client.get("/api/v1/guards").json()["pauses"]
        assert (pause["why"], pause["who"], pause["runbook"]) == ("maintenance", "Ada", "")
        assert client.post("/api/v1/resume", json={"who": "Ada"}).json() == {"ended": 1}
    assert service.world.ledger.pauses() == []


@pytest.mark.parametrize(
    "body", [{}, {"why": " ", "who": "Ada"}, {"why": "x", "who": 3}, {"why": "x" * 501, "who": "A"}]
)
def test_a_pause_without_a_reason_or_a_name_is_refused(service: Service, body) -> None:
    with service.program() as client:
        answer = client.post("/api/v1/pause", json=body)
    assert answer.status_code == 422
    assert service.world.ledger.pauses() == []


def test_pausing_a_runbook_that_does_not_exist_is_refused(service: Service) -> None:
    with service.program() as client:
        assert client.post("/api/v1/pause", json={"why": "x", "who": "Ada", "runbook": "nope"}).status_code == 422
    assert service.world.ledger.pauses() == []


def test_the_metrics_count_what_the_ledger_has(service: Service, signal) -> None:
    with service.program() as client:
        client.post("/api/v1/signals", json=signal)
        told = client.get("/metrics").text
    assert "byteport_ledger_up 1.0" in told
    assert 'byteport_incidents{phase="open"} 1.0' in told
    assert "byteport_due_lag_seconds" in told
    assert "byteport_deliveries_due 0.0" in told


def test_the_api_describes_itself(service: Service) -> None:
    with service.program() as client:
        told = client.get("/api/v1/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    assert "Signal" in json.dumps(told["components"])
    assert "/api/v1/signals" in told["paths"]


def test_every_answer_is_hardened(service: Service) -> None:
    with service.anybody() as client:
        for path in ("/healthz", "/login", "/static/console.css", "/nowhere", "/api/v1/incidents"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert "default-src 'none'" in headers["content-security-policy"], path
            assert headers["x-frame-options"] == "DENY", path


def test_a_bug_is_answered_without_its_text_and_logged_without_secrets(standing, signal, capsys) -> None:
    """A world whose intake has a bug, with a secret at hand where it happens."""

    @dataclass(frozen=True)
    class Broken:
        def take(self, signal: object, by_hand: object = None) -> None:
            password = "hunter2secret"
            raise TypeError(f"cannot use postgresql://app:{password}@db1/shop")

    @dataclass(frozen=True)
    class BrokenWorld(StandingWorld):
        @property
        def engine(self) -> Any:
            return Broken()

    with serving(BrokenWorld(standing.settings, standing.ledger)) as service, service.program() as client:
        answer = client.post("/api/v1/signals", json=signal)
    assert answer.status_code == 500
    assert "TypeError" not in answer.text
    told = capsys.readouterr()
    assert "TypeError" in told.out + told.err
    assert "hunter2secret" not in told.out + told.err + answer.text


def test_a_postmortem_is_downloaded_in_both_forms_once_it_is_written(service: Service, signal) -> None:
    with service.program() as client:
        incident = client.post("/api/v1/signals", json=signal).json()["incident"]
        path = f"/api/v1/incidents/{incident}/postmortem"
        assert client.get(path).status_code == 404
        record = json.dumps({"incident": incident, "ending": "resolved"})
        service.world.ledger.run(
            lambda cursor: cursor.execute(
                "insert into byteport.postmortems values (%s, %s, %s, byteport.clock())",
                [incident, record, "# Postmortem\n"],
            )
        )
        told = client.get(path)
        assert told.json() == {"incident": incident, "ending": "resolved"}
        assert told.headers["content-disposition"] == f'attachment; filename="{incident}.json"'
        markdown = client.get(path, params={"format": "markdown"})
        assert (markdown.text, markdown.headers["content-type"]) == ("# Postmortem\n", "text/markdown; charset=utf-8")
        assert client.get("/api/v1/incidents/inc-nobody/postmortem").status_code == 404


def test_silences_and_sources_are_listed(service: Service) -> None:
    ledger = service.world.ledger
    ledger.silence({"team": "shop"}, timedelta(hours=1), "rack move", "ada")
    ledger.polled(ledger.poll_begins("prometheus main", timedelta(seconds=30), "c1"), "")
    with service.program() as client:
        (silence,) = client.get("/api/v1/silences").json()["silences"]
        (poller,) = client.get("/api/v1/pollers").json()["pollers"]
        metrics = client.get("/metrics").text
    assert (silence["selects"], silence["who"]) == ("team=shop", "ada")
    assert (poller["name"], poller["error"]) == ("prometheus main", "")
    assert 'byteport_poller_last_success{poller="prometheus main"} 1.' in metrics
