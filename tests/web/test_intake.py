"""The generic webhook, and what intake does when the ledger is away or too much is waiting. Success means stored."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.adapters.ledger import PostgresLedger
from byteport.errors import BadSignal
from byteport.sources import webhook
from tests.servers import eventually
from tests.web.conftest import SECRET, Service, StandingWorld, serving

NOW = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    return {webhook.HEADER: webhook.sign(body, secret, int(time.time() if at is None else at))}


def taken(client: httpx.Client, body: bytes, headers: dict[str, str]) -> httpx.Response | None:
    """The answer to the message, once it is one of success."""
    answer = client.post("/webhooks/generic", content=body, headers=headers)
    return answer if answer.is_success else None


@pytest.fixture
def body(signal) -> bytes:
    return json.dumps({name: value for name, value in signal.items() if name != "source"}).encode()


def test_a_signed_message_becomes_an_incident(service: Service, body: bytes) -> None:
    with service.anybody() as client:
        answer = client.post("/webhooks/generic", content=body, headers=signed(body))
    assert answer.status_code == 202
    stored = service.world.ledger.incident(answer.json()["incident"])
    assert stored is not None
    assert (stored.signal.source, stored.signal.target.key) == ("generic", "db1/shop")


def test_the_same_message_sent_twice_is_one_signal(service: Service, body: bytes) -> None:
    headers = signed(body)
    with service.anybody() as client:
        first, second = (client.post("/webhooks/generic", content=body, headers=headers).json() for _ in range(2))
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["incident"] == second["incident"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {webhook.HEADER: ""},
        {webhook.HEADER: "v1=00"},
        {webhook.HEADER: f"t={int(time.time())}"},
        {webhook.HEADER: f"t={int(time.time())},v1={'0' * 64}"},
        {webhook.HEADER: f"t=x,v1={'0' * 64}"},
        {webhook.HEADER: "t=1,t=2,v1=" + "0" * 64},
        {webhook.HEADER: "x" * 5000},
    ],
)
def test_an_unsigned_or_wrongly_signed_message_is_refused(service: Service, body: bytes, headers) -> None:
    with service.anybody() as client:
        answer = client.post("/webhooks/generic", content=body, headers=headers)
    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert service.world.ledger.listing() == []


def test_a_message_of_another_secret_another_body_or_another_time_is_refused(service: Service, body: bytes) -> None:
    with service.anybody() as client:
        for content, headers in (
            (body, signed(body, "another-secret-altogether")),
            (body + b" ", signed(body)),
            (body, signed(body, at=time.time() - 301)),
            (body, signed(body, at=time.time() + 330)),  # it may be under way for a while; the edge is tested below
        ):
            assert client.post("/webhooks/generic", content=content, headers=headers).status_code == 401
    assert service.world.ledger.listing() == []


def test_an_unknown_source_is_not_found_even_when_signed(service: Service, body: bytes) -> None:
    with service.anybody() as client:
        assert client.post("/webhooks/github", content=body, headers=signed(body)).status_code == 404
        assert client.get("/webhooks/generic").status_code == 405


def test_a_source_without_a_secret_is_not_listened_to(standing: StandingWorld, body: bytes) -> None:
    settings = standing.settings.model_copy(update={"webhooks": type(standing.settings.webhooks)()})
    with serving(StandingWorld(settings, standing.ledger)) as service, service.anybody() as client:
        assert client.post("/webhooks/generic", content=body, headers=signed(body, "")).status_code == 404


def test_a_signed_message_that_is_no_signal_names_the_field(service: Service) -> None:
    with service.anybody() as client:
        for content, field in ((b'{"name": "db_pool_exhausted"}', "target"), (b"[]", "body"), (b"", "body")):
            answer = client.post("/webhooks/generic", content=content, headers=signed(content))
            assert answer.status_code == 422
            assert field in answer.json()["detail"]


def test_a_message_over_the_limit_is_refused_before_its_signature_is_looked_at(service: Service) -> None:
    with service.anybody() as client:
        assert client.post("/webhooks/generic", content=b"x" * (1024 * 1024 + 1)).status_code == 413


def test_nothing_is_answered_with_success_while_the_ledger_is_away(
    standing: StandingWorld, signal, body: bytes, tcp_proxy
) -> None:
    """And once it is back the very same message is taken, as a new one."""
    url = standing.settings.ledger_dsn
    proxy = tcp_proxy(urlsplit(url).port)
    ledger = PostgresLedger(proxy.through(url))
    with serving(StandingWorld(standing.settings, ledger)) as service, service.program() as client:
        headers = signed(body)
        proxy.cut()
        for answer in (
            client.post("/api/v1/signals", json=signal),
            client.post("/webhooks/generic", content=body, headers=headers),
            client.get("/readyz"),
            client.get("/api/v1/incidents"),
        ):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["error"] == "unavailable"
        assert "byteport_ledger_up 0.0" in client.get("/metrics").text
        assert client.get("/healthz").status_code == 200
        proxy.restore()
        again = eventually(lambda: taken(client, body, headers), within=15)
        assert again.status_code == 202
        assert not again.json()["duplicate"]
    ledger.close()
    assert len(standing.ledger.listing()) == 1


def test_a_backlog_refuses_more_and_says_when_to_come_back(standing: StandingWorld, signal, ledger_url: str) -> None:
    import psycopg

    web = standing.settings.web.model_copy(update={"backlog": 1})
    world = StandingWorld(standing.settings.model_copy(update={"web": web}), standing.ledger)
    for n in range(2):
        target = {**signal["target"], "key": f"db{n}/shop"}
        world.engine.take(webhook.parse({**signal, "target": target}, NOW))
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        connection.execute("update byteport.incidents set due_at = byteport.clock() - interval '2 minutes'")
    with serving(world) as service, service.program() as client:
        answer = client.post("/api/v1/signals", json=signal)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "30"
    assert len(standing.ledger.listing()) == 2


@given(body=st.binary(max_size=200), secret=st.text(min_size=1, max_size=40), age=st.integers(-300, 300))
def test_a_signature_holds_for_its_body_secret_and_time_alone(body: bytes, secret: str, age: int) -> None:
    header = webhook.sign(body, secret, 1_000_000)
    assert webhook.verify(body, header, secret, 1_000_000 + age, 300).startswith("v1-")
    for wrong in ((body + b"x", secret, 0), (body, secret + "x", 0), (body, secret, 301), (body, secret, -301)):
        with pytest.raises(webhook.NotSigned):
            webhook.verify(wrong[0], header, wrong[1], 1_000_000 + wrong[2], 300)
    with pytest.raises(webhook.NotSigned):
        webhook.verify(body, header, "", 1_000_000, 300)


def test_a_second_signature_lets_a_secret_be_changed() -> None:
    old, new = webhook.sign(b"x", "old", 100), webhook.sign(b"x", "new", 100)
    both = f"{old},{new.split(',')[1]}"
    assert webhook.verify(b"x", both, "new", 100, 300) == webhook.verify(b"x", new, "new", 100, 300)


def test_a_sender_cannot_name_its_source_nor_date_a_signal_into_the_future(signal) -> None:
    told = webhook.parse({**signal, "source": "alertmanager", "fired_at": "2030-01-01T00:00:00Z", "id": "7"}, NOW)
    assert (told.source, told.fired_at, told.event_id) == ("generic", NOW, "7")


def test_what_the_sender_adds_is_an_error_and_not_ignored(signal) -> None:
    with pytest.raises(BadSignal, match="colour: not a field of a signal"):
        webhook.parse({**signal, "colour": "blue"}, NOW)
