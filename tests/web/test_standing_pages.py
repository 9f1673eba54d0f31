"""The console's pages on silences, storms and sources: what they show, and what a form may do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from byteport.model.signal import Mode, Signal
from byteport.model.target import Target, TargetKind
from byteport.stores_signals import Opening
from byteport.testing.time_travel import travel
from tests.web.conftest import SLUG, Service, form_token

HOSTILE = "<script>alert(1)</script>"


def silenced(service: Service) -> list[str]:
    return [row.selects for row in service.world.ledger.silences()]


def test_a_person_silences_and_ends_it(service: Service) -> None:
    with service.person() as client:
        form = {
            "form_token": form_token(client.get("/guards").text),
            "match": 'kind=database note="two words"',
            "for": "1h30m",
            "why": "move",
        }
        answer = client.post("/silences", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/silences")
        (row,) = service.world.ledger.silences()
        assert row.match == {"kind": "database", "note": "two words"}
        assert row.until - row.since == timedelta(minutes=90)
        assert "note=two words" in client.get("/silences").text
        ended = client.post(f"/silences/{row.id}/end", data={"form_token": form_token(client.get("/guards").text)})
        assert ended.status_code == 303
        assert silenced(service) == []
        assert (
            client.post(
                f"/silences/{row.id}/end", data={"form_token": form_token(client.get("/guards").text)}
            ).status_code
            == 404
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"match": ""},
        {"match": "kind"},
        {"match": "a=1 a=2"},
        {"match": 'a="'},
        {"for": "soon"},
        {"for": "999d"},
        {"why": " "},
    ],
)
def test_a_silence_that_means_nothing_is_refused(service: Service, wrong: dict[str, str]) -> None:
    with service.person() as client:
        form = {
            "form_token": form_token(client.get("/guards").text),
            "match": "kind=database",
            "for": "1h",
            "why": "move",
            **wrong,
        }
        assert client.post("/silences", data=form).status_code == 422
    assert silenced(service) == []


@pytest.mark.parametrize("path", ["/silences", "/silences/1/end", f"/storms/{SLUG}/end"])
def test_a_form_without_its_proof_does_nothing(service: Service, path: str) -> None:
    service.world.ledger.silence({"team": "shop"}, timedelta(hours=1), "rack move", "ada")
    with service.person() as client:
        assert client.post(path, data={"match": "a=b", "for": "1h", "why": "x"}).status_code == 403
    with service.anybody() as client:
        assert client.post(path, data={"match": "a=b", "for": "1h", "why": "x"}).status_code in (303, 401, 403)
    assert silenced(service) == ["team=shop"]


def test_what_others_wrote_is_shown_and_does_nothing(service: Service) -> None:
    service.world.ledger.silence({"team": HOSTILE}, timedelta(hours=1), HOSTILE, HOSTILE)
    service.world.ledger.polled(service.world.ledger.poll_begins(HOSTILE, timedelta(seconds=30), "c1"), HOSTILE)
    with service.person() as client:
        pages = client.get("/silences").text + client.get("/sources").text
    assert HOSTILE not in pages
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in pages


def test_a_storm_is_shown_and_ended(service: Service) -> None:
    ledger = service.world.ledger
    for number in range(25):
        target = Target(kind=TargetKind.DATABASE, key=f"db{number}/shop")
        told = Signal(name="db_pool_exhausted", source="test", fired_at=datetime.now(UTC), target=target)
        ledger.admit(Opening(signal=told, runbook=SLUG, page="p", mode=Mode.DRY_RUN))
    ledger.tend_storms([SLUG], (timedelta(minutes=15),), lambda _storm: ())
    with service.person() as client:
        assert "It is over" in client.get("/silences").text
        assert (
            client.post(f"/storms/{SLUG}/end", data={"form_token": form_token(client.get("/guards").text)}).status_code
            == 303
        )
        assert "It is over" not in client.get("/silences").text
        assert (
            client.post(f"/storms/{SLUG}/end", data={"form_token": form_token(client.get("/guards").text)}).status_code
            == 404
        )
        assert (
            client.post("/storms/nobody/end", data={"form_token": form_token(client.get("/guards").text)}).status_code
            == 404
        )


def test_sources_say_how_they_are(service: Service) -> None:
    ledger = service.world.ledger
    for name, error in (("prometheus main", ""), ("tls: shop.example:443", "an answer (out of reach)")):
        ledger.polled(ledger.poll_begins(name, timedelta(seconds=30), "c1"), error)
    ledger.poll_begins("sentry", timedelta(seconds=30), "c1")
    with service.person() as client:
        page = client.get("/sources").text
        travel(service.world.settings.ledger_dsn, 91)
        later = client.get("/sources").text
    assert "not asked yet" in page
    assert "overdue" in later
    assert "overdue" not in page
    assert "answers" in page
    assert "out of reach" in page
    assert "/webhooks/alertmanager" in page
    assert "no secret, so nobody is heard" in page
