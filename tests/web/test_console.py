"""The console in a browser's place: login, forms, pages, and that nothing outside gets through unescaped."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from byteport.model.signal import Signal
from tests.web.conftest import SLUG, TOKEN, Service, form_token

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def incident(service: Service, signal: dict[str, Any]) -> str:
    admission = service.world.engine.take(Signal.model_validate(signal))
    assert admission is not None
    return admission.incident


def test_whoever_has_not_logged_in_sees_the_login_and_comes_back_where_he_wanted(service: Service) -> None:
    with service.anybody() as client:
        for path in ("/", "/incidents/x", "/runbooks", f"/runbooks/{SLUG}", "/guards", "/silences", "/sources"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")
        answer = client.post("/login", data={"token": TOKEN, "who": "Ada", "next": "/guards"})
        assert answer.headers["location"] == "/guards"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        assert client.get("/guards").status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_login_leads_nowhere_else(service: Service, elsewhere: str) -> None:
    with service.anybody() as client:
        answer = client.post("/login", data={"token": TOKEN, "next": elsewhere})
    assert answer.headers["location"] == "/"


def test_a_wrong_token_says_so_and_gives_no_cookie(service: Service) -> None:
    with service.anybody() as client:
        answer = client.post("/login", data={"token": "wrong", "next": "/"})
    assert answer.status_code == 401
    assert "not the token" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_forged_or_shortened_cookie_lets_nobody_in(service: Service) -> None:
    with service.person() as client:
        cookie = client.cookies["byteport_session"].strip('"')
    told, _, mac = cookie.rpartition(".")
    for forged in (f"{told}.{'0' * 64}", f"{told}x.{mac}", told, "", "a.b", f".{mac}"):
        with httpx.Client(base_url=service.url, cookies={"byteport_session": forged}) as client:
            assert client.get("/").status_code == 303


def test_logging_out_ends_the_session_in_the_browser(service: Service) -> None:
    with service.person() as client:
        token = form_token(client.get("/").text)
        assert client.post("/logout", data={"form_token": token}).headers["location"] == "/login"
        assert client.get("/").status_code == 303


def test_nothing_open_is_said_in_words(service: Service) -> None:
    with service.person() as client:
        assert "Nothing is open" in client.get("/").text
        assert "No incident yet" in client.get("/?show=all").text


def test_the_list_and_the_incident_are_shown(service: Service, incident: str) -> None:
    with service.person() as client:
        assert f"/incidents/{incident}" in client.get("/").text
        page = client.get(f"/incidents/{incident}").text
    assert "received" in page
    assert "95 % of the usable connections are in use" in page
    assert "Timeline" in page


def test_a_live_part_is_sent_only_when_something_has_changed(service: Service, incident: str) -> None:
    with service.person() as client:
        part = client.get(f"/incidents/{incident}?part=1")
        mark = part.text.split('data-mark="')[1].split('"')[0]
        assert "<html" not in part.text
        assert client.get(f"/incidents/{incident}", params={"part": 1, "seen": mark}).status_code == 204
        service.world.ledger.command(incident, "ack", "Ada", "looking")
        assert client.get(f"/incidents/{incident}", params={"part": 1, "seen": mark}).status_code == 200


def test_hostile_text_is_shown_and_never_run(service: Service, signal: dict[str, Any]) -> None:
    hot = {**signal, "summary": HOSTILE, "target": {"kind": "database", "key": f"db1/{HOSTILE}"}}
    admission = service.world.engine.take(Signal.model_validate(hot))
    assert admission is not None
    with service.person(who=HOSTILE) as client:
        for path in ("/", f"/incidents/{admission.incident}"):
            page = client.get(path).text
            assert HOSTILE not in page
            assert "&lt;script&gt;" in page


def test_the_runbook_page_is_generated_and_hyphens_lead_to_it(service: Service) -> None:
    with service.person() as client:
        page = client.get(f"/runbooks/{SLUG}").text
        for told in ("idle in tx backlog", "kill cap", "pg_signal_backend", "utilization", "kills_per_minute_cap"):
            assert told in page, told
        moved = client.get(f"/runbooks/{SLUG.replace('_', '-')}")
        assert (moved.status_code, moved.headers["location"]) == (308, f"/runbooks/{SLUG}")
        assert client.get("/runbooks/unknown").status_code == 404
        assert SLUG in client.get("/runbooks").text


def test_pausing_shows_a_banner_with_who_and_why_until_it_is_resumed(service: Service) -> None:
    with service.person("Ada") as client:
        token = form_token(client.get("/").text)
        client.post("/pause", data={"form_token": token, "why": "network maintenance", "next": "/"})
        page = client.get("/runbooks").text
        assert "network maintenance" in page
        assert "by Ada" in page
        client.post("/resume", data={"form_token": token, "next": "/", "runbook": ""})
        assert "network maintenance" not in client.get("/").text


@pytest.mark.parametrize("path", ["/pause", "/resume", "/logout"])
def test_a_form_that_was_not_given_to_this_session_is_refused(service: Service, path: str) -> None:
    with service.person("Eve") as eve, service.person("Ada") as ada:
        foreign = form_token(eve.get("/").text)
        for data in ({"why": "x"}, {"why": "x", "form_token": ""}, {"why": "x", "form_token": foreign}):
            assert ada.post(path, data=data).status_code == 403
    assert service.world.ledger.pauses() == []


def test_a_person_can_acknowledge_and_cancel_and_the_journal_knows_who(service: Service, incident: str) -> None:
    with service.person("Ada") as client:
        token = form_token(client.get(f"/incidents/{incident}").text)
        for word in ("ack", "cancel"):
            data = {"form_token": token, "word": word, "why": "known maintenance"}
            assert client.post(f"/incidents/{incident}", data=data).status_code == 303
        assert client.post(f"/incidents/{incident}", data={"form_token": token, "word": "delete"}).status_code == 422
        assert client.post("/incidents/unknown", data={"form_token": token, "word": "ack"}).status_code == 422
    told = [event for event in service.world.ledger.events(incident) if "Ada" in event.text + str(event.data)]
    assert len(told) >= 2


def test_an_unknown_incident_is_said_in_words(service: Service) -> None:
    with service.person() as client:
        answer = client.get("/incidents/unknown")
    assert answer.status_code == 404
    assert "No incident has this id" in answer.text


def test_no_page_loads_anything_from_elsewhere(service: Service, incident: str) -> None:
    with service.person() as client:
        for path in ("/", f"/incidents/{incident}", "/runbooks", f"/runbooks/{SLUG}", "/guards", "/login"):
            page = client.get(path).text
            assert "http://" not in page
            assert "https://" not in page
            assert "style=" not in page
            assert "onclick" not in page
